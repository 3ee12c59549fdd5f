# shellcheck shell=bash
# Run the operators' hooks, as-root.sh and as-user.sh. Sourced by docker-stacks' start.sh; labhub's own
# start chain sees this name, and runs them itself at its place (start/image_hooks.py).
#
# Beside this file's folder, or where labhub's images have it, lies the program that does it. Nothing
# here changes the shell that sources it, except where a required hook was not done: then the start
# must end, and exit code 78 says so.

labhub_hooks_done() {
    local program python status=0
    program=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../operator_hooks
    [ -d "$program" ] || program=/opt/labhub/startup_scripts/operator_hooks
    # The system's own Python where there is one: nobody but root can have changed it.
    python=/usr/bin/python3
    [ -x "$python" ] || python=$(command -v python3) || python=python3
    "$python" -I -B "$program" || status=$?
    [ "$status" = 0 ] && return
    [ "$status" = 78 ] && return 1
    echo "labhub: the operators' hooks could not be run (exit code $status)" >&2
    [ "${LABHUB_HOOK_AS_ROOT:-}" != required ] && [ "${LABHUB_HOOK_AS_USER:-}" != required ]
}

if labhub_hooks_done; then
    unset -f labhub_hooks_done
else
    # labhub's start chain reads this; docker-stacks' start.sh ends with our exit.
    export LABHUB_START_REFUSED=1
    exit 78
fi
