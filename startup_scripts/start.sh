#!/bin/sh
# The entry point of a labhub container, below tini: find a Python and hand over to start/.
#
# No Python of root's is told by the environment what to import (-I); only a container that waits
# for its owner obeys it (-s), for nothing but the image has set it.
scripts=${0%/*}
[ -d "$scripts/start" ] || scripts=$(dirname "$(readlink -f "$0")")
[ "${1:-}" != "$scripts/start.sh" ] || shift
[ $# -gt 0 ] || set -- "$scripts/server.sh"

if [ "$1" = labhub-wait ]; then
    # Before any program runs that its owner may have changed.
    if [ -e /run/labhub/claimed ]; then
        echo "labhub: This server had an owner, whose home is no longer here; it does not start again." >&2
        exit 78
    fi
    for python in /opt/jupyter/bin/python3 /opt/conda/bin/python3 python3; do
        command -v "$python" >/dev/null && break
    done
    exec "$python" -s -B "$scripts/start" "$@"
fi

# The system's own Python where there is one: nobody but root can have changed it.
for python in /usr/bin/python3 /opt/jupyter/bin/python3 /opt/conda/bin/python3 python3; do
    command -v "$python" >/dev/null && break
done
exec "$python" -I -B "$scripts/start" "$@"
