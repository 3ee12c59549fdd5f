#!/bin/sh
# Run the notebook server: JupyterHub's when a hub started this container, JupyterLab otherwise.
set -eu
if [ -n "${JUPYTERHUB_API_TOKEN:-}" ]; then
    exec python3 -s -B "${0%/*}/server" "$@"
fi
exec jupyter lab --ip=0.0.0.0 --no-browser "$@"
