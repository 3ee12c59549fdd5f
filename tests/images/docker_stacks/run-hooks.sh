#!/bin/bash
# Hooks as docker-stacks runs them; until July 2026 one that failed stopped the start.
for f in "$1"/*; do
    [ -e "$f" ] || continue
    case $f in
    *.sh)
        if [ "$STOPS_AT_FAILURE" = yes ]; then
            # shellcheck disable=SC1090
            source "$f"
        else
            # shellcheck disable=SC1090
            source "$f" || echo "$f has failed, continuing execution"
        fi
        ;;
    *) if [ -x "$f" ]; then "$f" || echo "$f has failed, continuing execution"; fi ;;
    esac
done
