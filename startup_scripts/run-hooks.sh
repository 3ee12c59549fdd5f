# shellcheck shell=bash
# Run the image's hooks in folder $1, as docker-stacks images do. Sourced by start.sh.
#
# In the order of their names, *.sh files are sourced and other executable files are run. What a
# sourced hook exports and the folder it changes to last; it runs in a shell of its own, so that
# its `exit` or `set -e` ends the hook and not the start. A failure is reported, and the start goes on.

# Source file $1 in a subshell and take over its exported variables and its folder.
source_hook() {
    local file=$1 dump name pair status
    local -A kept=()
    dump=$(mktemp)
    (
        trap '{ printf "LABHUB_PWD=%s\0" "$PWD"; /usr/bin/env -0; } >"$dump"' EXIT
        set +u
        # shellcheck disable=SC1090 # a hook of the image
        . "$file"
    )
    status=$?
    while IFS= read -r -d '' pair; do
        name=${pair%%=*}
        case $name in
        LABHUB_PWD) cd -- "${pair#*=}" 2>/dev/null || : ;;
        _ | SHLVL | PWD | OLDPWD | *[!A-Za-z0-9_]*) ;;
        *) export "${pair?}" && kept[$name]=1 ;;
        esac
    done <"$dump"
    # An empty dump: the hook replaced its shell, or its trap.
    if [ -s "$dump" ]; then
        for name in $(compgen -e); do
            case $name in _ | SHLVL | PWD | OLDPWD) continue ;; esac
            [ -n "${kept[$name]:-}" ] || unset "$name"
        done
    fi
    rm -f "$dump"
    return "$status"
}

# Run every hook in folder $1 until one refuses the start.
run_hooks_in() {
    local folder=$1 step=${1##*/} file began status
    [ -d "$folder" ] || return 0
    began=$EPOCHREALTIME
    for file in "$folder"/*; do
        status=0
        case $file in
        *.sh) [ ! -f "$file" ] || source_hook "$file" || status=$? ;;
        *) [ ! -f "$file" ] || [ ! -x "$file" ] || "$file" || status=$? ;;
        esac
        [ -z "${LABHUB_START_REFUSED:-}" ] || return 0
        [ "$status" = 0 ] || report "$step" warning \
            "The image's script ${file##*/} has failed (exit code $status); the start goes on."
    done
    report "$step" "done" "The image's scripts are done." "$(seconds_since "$began")"
}

run_hooks_in "$1"
