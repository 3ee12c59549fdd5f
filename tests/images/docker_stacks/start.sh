#!/bin/bash
# The documented order of a docker-stacks start, in short.
set -e
run_hooks() {
    # shellcheck disable=SC1091 # it is there in the image
    source /usr/local/bin/run-hooks.sh "$1"
}

run_hooks /usr/local/bin/start-notebook.d
if [ "$(id -u)" = 0 ]; then
    if [ "$NB_USER" != jovyan ]; then
        usermod --home "/home/$NB_USER" --login "$NB_USER" jovyan
    fi
    groupadd --force --gid "$NB_GID" --non-unique "${NB_GROUP:-$NB_USER}"
    userdel "$NB_USER"
    useradd --no-log-init --home "/home/$NB_USER" --shell /bin/bash --uid "$NB_UID" \
        --gid "$NB_GID" --groups 100 "$NB_USER"
    if [ "$NB_USER" != jovyan ]; then
        [ -e "/home/$NB_USER" ] || cp -a /home/jovyan "/home/$NB_USER"
        cd "/home/$NB_USER"
    fi
    run_hooks /usr/local/bin/before-notebook.d
    exec sudo --preserve-env --set-home --user "$NB_USER" PATH="$PATH" "$@"
fi
run_hooks /usr/local/bin/before-notebook.d
exec "$@"
