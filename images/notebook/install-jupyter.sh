#!/bin/sh
# Install Jupyter: the locked versions into /opt/jupyter, or what is missing into the base's conda.
set -eu
here=$(dirname "$0")
hub_version=$1
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_ROOT_USER_ACTION=ignore PIP_PROGRESS_BAR=off

if [ -x /opt/conda/bin/python3 ]; then
    python=/opt/conda/bin/python3
    # pip's default strategy: what the base has stays as long as it satisfies us.
    sed "s/^jupyterhub==.*/jupyterhub==$hub_version/" "$here/requirements.in" >/tmp/requirements.txt
    $python -m pip install -q -r /tmp/requirements.txt
    rm /tmp/requirements.txt
    # One second of every start, and optional (see overrides.txt).
    $python -m pip uninstall -q -y rfc3987-syntax || true
else
    # System site packages: only so does Python see the user's ~/.local, where `pip install` goes.
    /usr/bin/python3 -m venv --system-site-packages /opt/jupyter
    python=/opt/jupyter/bin/python3
    # Complete and hashed, hence without resolution: what is left out of the lock stays out.
    $python -m pip install -q --require-hashes --no-deps -r "$here/requirements.lock"
    grep -q "^jupyterhub==$hub_version " "$here/requirements.lock" ||
        $python -m pip install -q --no-deps "jupyterhub==$hub_version"
fi
$python -m pip check
