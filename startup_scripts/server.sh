#!/bin/sh
# Run the notebook server: JupyterHub's when a hub started this container, JupyterLab otherwise.
set -eu
if [ -n "${JUPYTERHUB_API_TOKEN:-}" ]; then
    exec jupyterhub-singleuser "$@"
fi
exec jupyter lab --ip=0.0.0.0 --no-browser "$@"
