# shellcheck shell=bash
# Tell the hub and the container's log what the start is doing. Sourced by start.sh.

# Root's own directory, mounted by the hub; without a hub there is none and nothing is written.
labhub_report=/run/labhub/report.jsonl

# Print $1 as a JSON string. Bytes that JSON forbids become spaces.
json_string() {
    local text=${1//[[:cntrl:]]/ }
    text=${text//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# report STEP STATE MESSAGE [SECONDS [EXIT_CODE]]
report() {
    echo "labhub: $1: $3" >&2
    [ -d /run/labhub ] && [ -w /run/labhub ] || return 0
    printf '{"step": %s, "state": %s, "message": %s, "seconds": %s, "exit_code": %s, "time": %s}\n' \
        "$(json_string "$1")" "$(json_string "$2")" "$(json_string "$3")" \
        "${4:-0.0}" "${5:-null}" "${EPOCHREALTIME/,/.}" >>"$labhub_report"
}

# Report that the start is refused and end the container with the code that says so.
refuse() {
    report "$1" failed "$2" "${3:-0.0}"
    exit 78
}

# Print the seconds since $1, a value of $EPOCHREALTIME.
seconds_since() {
    local now=${EPOCHREALTIME/[^0-9]/} then=${1/[^0-9]/} passed
    passed=$((now - then))
    printf '%d.%03d' $((passed / 1000000)) $((passed / 1000 % 1000))
}
