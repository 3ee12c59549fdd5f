#!/bin/sh
# Put the operators' hooks where the start chain, ours or docker-stacks', looks for drop-ins.
set -eu
scripts=$(dirname "$(readlink -f "$0")")
chmod -R go-w,a+rX "$scripts"
mkdir -p /usr/local/bin/start-notebook.d /usr/local/bin/before-notebook.d
ln -sf "$scripts/before-notebook.d/50-operator-hooks.sh" /usr/local/bin/before-notebook.d/
