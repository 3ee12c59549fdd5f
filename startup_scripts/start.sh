#!/bin/bash
# Start a labhub container: prepare the account, run the hooks, drop every privilege, run the command.
#
# Runs as root, as the entry point below tini; README.md has the order of the steps. Started as
# another user, it warns and runs the hooks and the command as that user.
set -u
scripts=$(dirname "$(readlink -f "$0")")
hooks=/usr/local/bin
# shellcheck source=report.sh
. "$scripts/report.sh"
# shellcheck source=account.sh
. "$scripts/account.sh"
# shellcheck source=groups.sh
. "$scripts/groups.sh"
# shellcheck source=home.sh
. "$scripts/home.sh"
# shellcheck source=privileges.sh
. "$scripts/privileges.sh"

umask 022
unset LABHUB_START_REFUSED BASH_ENV ENV CDPATH
[ $# -gt 0 ] || set -- "$scripts/server.sh"
[ "$1" = "$scripts/start.sh" ] && shift

run_hooks() {
    # shellcheck source=run-hooks.sh
    . "$scripts/run-hooks.sh" "$hooks/$1"
    # A hook that must stop the start exports this and exits; any other exit only ends the hook.
    [ -z "${LABHUB_START_REFUSED:-}" ] || exit 78
}

if [ "$(id -u)" != 0 ]; then
    report account warning "This container was not started as root, so the account stays as it is."
    run_hooks start-notebook.d
    run_hooks before-notebook.d
    clean_environment
    exec setpriv --no-new-privs -- "$@"
fi

run_hooks start-notebook.d

began=$EPOCHREALTIME
check_account
write_account
set_groups
set_privileges
make_home
export HOME="/home/$NB_USER" USER=$NB_USER LOGNAME=$NB_USER XDG_CACHE_HOME="/home/$NB_USER/.cache"
report account "done" "The account $NB_USER is ready." "$(seconds_since "$began")"

run_hooks before-notebook.d

report server running "The notebook server is starting."
PATH=$PATH:$HOME/.local/bin # last: nothing in a home takes the place of the image's programs
clean_environment
umask "$NB_UMASK"
# The home is entered as its owner: root may not be able to (NFS).
# shellcheck disable=SC2016 # expanded by the inner shell
exec "${as_owner[@]}" /bin/sh -c 'cd -- "$HOME" || cd /; exec "$@"' start "$@"
