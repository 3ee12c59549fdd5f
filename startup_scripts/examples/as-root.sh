#!/bin/bash
# Runs as root in every server before it answers. This is a sample: change it as your course needs.
#
# NB_USER, NB_UID and NB_GID say whose server it is. Root must not touch anything in /home/$NB_USER:
# what belongs there is as-user.sh's work. A container is new at each start, so what is done here
# (a file in /etc, a package) is done at every start; what takes long belongs in the image.
set -euo pipefail

# Shared data that is mounted elsewhere gets the name the course uses, such as "/nfs/data /data".
LINKS=""

echo "Preparing the server of $NB_USER (uid $NB_UID)"
id

while read -r target name; do
    [ -n "$name" ] || continue
    if [ -e "$name" ] || [ -L "$name" ]; then
        echo "$name is there already"
    else
        ln -s "$target" "$name" && echo "$name -> $target"
    fi
done <<<"$LINKS"
