# shellcheck shell=bash
# The user's home and CHOWN_HOME, CHOWN_EXTRA. Sourced by start.sh.
# shellcheck disable=SC2154 # scripts and as_user are set by start.sh and privileges.sh
#
# What lies in a home is read and written with the user's rights only, never with root's; the
# exception is own.py, which follows no link.

# Print something if directory $1 holds more than a new file system does; run it by the other words.
content_of() {
    local home=$1
    shift
    "$@" find "$home" -mindepth 1 -maxdepth 1 ! -name lost+found -printf x -quit
}

# Make the home where it is missing, fill it where it is empty, warn where it is not the user's.
make_home() {
    local home=/home/$NB_USER seen
    [ ! -L "$home" ] || refuse account "$home is a symbolic link; a home must be a directory."
    [ -e "$home" ] || mkdir -m 0700 "$home" || refuse account "The folder $home cannot be made."
    [ -d "$home" ] || refuse account "$home is no directory, so it cannot be a home."
    # An empty directory of root's is a volume that was made just now.
    if [ "$(stat -c %u "$home")" = 0 ] && seen=$(content_of "$home" env) && [ -z "$seen" ]; then
        chown -h "$NB_UID:$NB_GID" "$home" && chmod 0700 "$home"
    fi
    change_owners "$home"
    if seen=$(content_of "$home" "${as_user[@]}") && [ -z "$seen" ]; then
        fill_home "$home"
    fi
    "${as_user[@]}" test -w "$home" -a -x "$home" || report account warning \
        "Your home folder cannot be written to: it belongs to user id $(stat -c %u "$home"), not $NB_UID."
    # What SQLite and sockets need is a local disk, which a home often is not.
    export LABHUB_LOCAL=/var/lib/labhub JUPYTER_RUNTIME_DIR=/var/lib/labhub/runtime
    # In a container that is started again the user may have put a link into the first of them.
    install -d -m 0700 -o "$NB_UID" -g "$NB_GID" "$LABHUB_LOCAL"
    "${as_user[@]}" mkdir -p -m 0700 "$JUPYTER_RUNTIME_DIR"
}

# Give the home, and what CHOWN_EXTRA lists, to the user, where the container's settings ask for it.
change_owners() {
    local recursive=() extra=()
    case ${CHOWN_HOME:-} in 1 | yes)
        [[ ${CHOWN_HOME_OPTS:-} == *-R* ]] && recursive=(-R)
        python3 -I "$scripts/own.py" "${recursive[@]}" "$NB_UID" "$NB_GID" "$1" ||
            report account warning "Not all of your home folder could be given to you." ;;
    esac
    [ -n "${CHOWN_EXTRA:-}" ] || return 0
    [[ ${CHOWN_EXTRA_OPTS:-} == *-R* ]] && recursive=(-R) || recursive=()
    IFS=, read -r -a extra <<<"$CHOWN_EXTRA"
    python3 -I "$scripts/own.py" "${recursive[@]}" "$NB_UID" "$NB_GID" "${extra[@]}" ||
        report account warning "Not all of CHOWN_EXTRA could be given to you."
}

# Copy the files of a first start into the empty home $1, as its owner.
fill_home() {
    local source=/etc/skel
    [ "$NB_USER" = jovyan ] || [ -L /home/jovyan ] || [ ! -d /home/jovyan ] || source=/home/jovyan
    tar -C "$source" -c . | "${as_user[@]}" tar -C "$1" -x --no-same-owner --no-overwrite-dir ||
        report account warning "Your home folder did not get its first files; is the disk full?"
}
