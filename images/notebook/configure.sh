#!/bin/sh
# Put our settings beside Jupyter and the hooks where the start chain looks for them.
set -eu
prefix=/opt/jupyter
[ -d "$prefix" ] || prefix=/opt/conda
# The terminal's login shell sets PATH anew.
echo "PATH=$prefix/bin:\$PATH" >/etc/profile.d/labhub.sh
# Below the prefix, which outranks /etc: a base image may have its own files there.
mkdir -p "$prefix/etc"
cp -R /opt/labhub/build/etc/. "$prefix/etc/"
# Root's Python writes none of its own when it starts.
"$prefix/bin/python3" -m compileall -q /opt/labhub/startup_scripts
/opt/labhub/startup_scripts/install.sh
