#!/bin/sh
# Install Python, the packages and the account, as the documentation of each of them says.
set -eu
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
apt-get install -q -y --no-install-recommends \
    bash ca-certificates git less python3 python3-venv tini
rm -rf /var/lib/apt/lists/*
update-ca-certificates

export PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv /opt/jupyter
# pip resolves on its own: what a package asks for is there, also what our lock leaves out.
/opt/jupyter/bin/pip install -q --progress-bar off \
    -r /opt/build/requirements.txt -c /opt/build/constraints.txt
/opt/jupyter/bin/pip check

useradd --uid 1000 --gid 100 --create-home --shell /bin/bash --comment "" jovyan
# Where the volume of jupyterhub-deploy-docker is mounted: a new volume takes its owner from here.
mkdir /home/jovyan/work
chown 1000:100 /home/jovyan/work
