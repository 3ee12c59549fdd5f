# shellcheck shell=bash
# What the user may do: the words that drop root's rights, and GRANT_SUDO. Sourced by start.sh.
# shellcheck disable=SC2034 # start.sh uses as_owner

sudoers=/etc/sudoers.d/labhub

# Set as_user, the words before a command that runs it as the user with no way back to root, and
# as_owner, the words before the server: the same, or without the locks where sudo is granted.
set_privileges() {
    local identity=(setpriv --reuid "$NB_UID" --regid "$NB_GID" --clear-groups)
    [ -z "$NB_GROUPS" ] || identity=("${identity[@]:0:5}" --groups "$NB_GROUPS")
    as_user=("${identity[@]}" --inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs --)
    as_owner=("${as_user[@]}")
    rm -f "$sudoers"
    case ${GRANT_SUDO:-} in 1 | yes) grant_sudo ;; esac
    return 0
}

# Let the user become root by sudo, without a password.
grant_sudo() {
    if ! command -v sudo >/dev/null; then
        report account warning "sudo is allowed to you, but this image does not have it."
        return
    fi
    # By number: a name could mean something else to sudo.
    (umask 0227 && printf '#%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "$NB_UID" >"$sudoers") ||
        report account warning "sudo could not be allowed."
    as_owner=("${identity[@]}" --inh-caps=-all --ambient-caps=-all --)
}

# Drop what was for the start only, and what JUPYTER_ENV_VARS_TO_UNSET ("NAME,NAME") lists.
clean_environment() {
    local listed=${JUPYTER_ENV_VARS_TO_UNSET:-}
    unset "${!LABHUB_HOOK@}" LABHUB_ADMIN_UID LABHUB_ADMIN_GID LABHUB_LOG_FOLDER LABHUB_EXTRA_GROUPS
    # shellcheck disable=SC2086 # a list of names
    unset ${listed//,/ }
}
