#!/bin/bash
# Runs as the user, in the user's home, before each server answers. This is a sample: change it as
# your course needs. It must not mind running again and again: every start runs it.
set -euo pipefail

# The course's repository: an address or a folder. Its changes are merged, the student's work is kept.
COURSE_REPO=${COURSE_REPO:-}
COURSE_BRANCH=${COURSE_BRANCH:-main}
COURSE_FOLDER=${COURSE_FOLDER:-course}
# Each file and folder in here gets a link in the home, unless something with its name is there.
SHARED_DATA=/nfs
# Old notebooks that the course has replaced, such as "course/old.ipynb": they get the ending .old.
RETIRED=()
# Lines for the shell, each added once.
# shellcheck disable=SC2016 # expanded when the shell starts
PROFILE_LINES=('[ -d /nfs/bin ] && PATH=$PATH:/nfs/bin')

# Whether the newest commit is there and no file of it was deleted: gitpuller would do nothing then,
# in four times the time.
course_is_current() {
    local newest rest
    read -r newest rest < <(git ls-remote -- "$COURSE_REPO" "refs/heads/$COURSE_BRANCH") || return 1
    git -C "$COURSE_FOLDER" merge-base --is-ancestor "$newest" HEAD 2>/dev/null || return 1
    [ -z "$(git -C "$COURSE_FOLDER" ls-files --deleted)" ]
}

for notebook in "${RETIRED[@]}"; do
    if [ -f "$notebook" ]; then mv -n -- "$notebook" "$notebook.old"; fi
done

if [ -z "$COURSE_REPO" ]; then
    echo "COURSE_REPO is not set: no course material is fetched."
else
    # git works on folders of other owners, such as a local COURSE_REPO, only where it is told to. A
    # clean-up in the background would be ended with this script.
    GIT_CONFIG_GLOBAL=$(mktemp)
    export GIT_CONFIG_GLOBAL
    trap 'rm -f "$GIT_CONFIG_GLOBAL"' EXIT
    printf '[include]\npath = ~/.gitconfig\n[safe]\ndirectory = *\n[gc]\nautoDetach = false\n' \
        >"$GIT_CONFIG_GLOBAL"
    if [ ! -e "$COURSE_FOLDER" ]; then
        git clone -q --depth 1 --branch "$COURSE_BRANCH" -- "$COURSE_REPO" "$COURSE_FOLDER"
    elif ! course_is_current; then
        gitpuller "$COURSE_REPO" "$COURSE_BRANCH" "$COURSE_FOLDER"
    fi
fi

if [ -d "$SHARED_DATA" ]; then
    for shared in "$SHARED_DATA"/*; do
        [ -e "$shared" ] || continue
        link=$HOME/${shared##*/}
        if [ ! -e "$link" ] && [ ! -L "$link" ]; then ln -s "$shared" "$link"; fi
    done
fi

touch "$HOME/.profile"
for line in "${PROFILE_LINES[@]}"; do
    grep -qxF -- "$line" "$HOME/.profile" || printf '%s\n' "$line" >>"$HOME/.profile"
done

# A kernel of the course's own would be registered here, for instance:
#   /nfs/env/bin/python -m ipykernel install --user --name course --display-name "Course"
