#!/bin/sh
# Install what the start chain and Jupyter need from the distribution, and the extra CAs.
set -eu
export DEBIAN_FRONTEND=noninteractive

packages="bash ca-certificates git less sudo tini util-linux"
# A base image with its own conda (docker-stacks) brings its Python; only tools are missing there.
[ -x /opt/conda/bin/python3 ] || packages="$packages python3 python3-venv"

apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -q -y --no-install-recommends $packages
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log

update-ca-certificates

# The account that docker-stacks images have: the start chain renames it to the user.
getent passwd jovyan >/dev/null ||
    useradd --uid 1000 --gid 100 --create-home --shell /bin/bash --comment "" jovyan
