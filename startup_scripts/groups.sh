# shellcheck shell=bash
# The user's groups: NB_GID, NB_GROUP, LABHUB_EXTRA_GROUPS. Sourced by start.sh.

# Give group id $2 a name, if it has none: $1, or $1-$2 where that name is taken.
name_group() {
    local name=$1
    awk -F: -v id="$2" '$3 == id { found = 1 } END { exit !found }' /etc/group && return
    awk -F: -v name="$1" '$1 == name { found = 1 } END { exit !found }' /etc/group && name=$1-$2
    printf '%s:x:%s:\n' "$name" "$2" >>/etc/group
}

# Set NB_GROUPS to the supplementary group ids, from LABHUB_EXTRA_GROUPS ("name:gid,name:gid").
set_groups() {
    local pair extra=${LABHUB_EXTRA_GROUPS:-}
    name_group "${NB_GROUP:-$NB_USER}" "$NB_GID"
    # Not 100, which may write to conda in docker-stacks images: what a user installs there would be
    # gone with the container; so it goes to the home.
    NB_GROUPS=""
    for pair in ${extra//,/ }; do
        [[ $pair =~ ^([a-z0-9_][a-z0-9_.-]{0,62}):([1-9][0-9]{0,9})$ ]] ||
            refuse account "LABHUB_EXTRA_GROUPS must be name:gid,name:gid, without group 0."
        name_group "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        NB_GROUPS=${NB_GROUPS:+$NB_GROUPS,}${BASH_REMATCH[2]}
    done
    export NB_GROUPS
}
