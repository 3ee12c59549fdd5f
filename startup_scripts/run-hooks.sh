# shellcheck shell=bash
# Source the image's hook $1, as docker-stacks images do, in this shell of its own, so that its
# `exit` or `set -e` ends the hook and not the start.
#
# At the end its folder and all it exports go to descriptor $2 (see start/image_hooks.py). Nothing
# arrives from a hook that replaces its shell, or its trap.
labhub_hook=$1 labhub_kept=$2
set --
trap '{ printf "LABHUB_PWD=%s\0" "$PWD"; /usr/bin/env -0; } >&"$labhub_kept"' EXIT
# shellcheck disable=SC1090 # a hook of the image
. "$labhub_hook"
