# shellcheck shell=bash
# The account of the server's user: NB_USER, NB_UID, NB_GID, NB_GROUP, NB_UMASK. Sourced by start.sh.
#
# The files are written directly: useradd refuses names that JupyterHub allows and takes longer.

# Set what is missing to what docker-stacks images use, and refuse what cannot be.
check_account() {
    export NB_USER=${NB_USER:-jovyan} NB_UID=${NB_UID:-1000} NB_GID=${NB_GID:-100}
    export NB_UMASK=${NB_UMASK:-0022}
    local name LC_ALL=C # letters are ASCII letters
    [[ $NB_USER =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$ ]] ||
        refuse account "NB_USER is no possible account name: letters, digits, '_', '.' and '-'."
    [ "$NB_USER" != root ] || refuse account "A server never runs as root: NB_USER must not be root."
    for name in NB_UID NB_GID; do
        [[ ${!name} =~ ^[1-9][0-9]{0,9}$ && ${!name} -lt 4294967295 ]] ||
            refuse account "$name must be a number above 0: a server never runs as root."
    done
    [[ $NB_UMASK =~ ^[0-7]{3,4}$ ]] || refuse account "NB_UMASK must be octal, such as 0022."
}

# Print the lines of file $2 whose first field is none of the other arguments.
without_names() {
    local file=$1
    shift
    awk -F: -v names="$*" 'BEGIN { n = split(names, a, " "); while (n) drop[a[n--]] }
        !($1 in drop)' "$file"
}

# Put the user first in /etc/passwd, where a uid that the image uses as well is found as this name.
write_account() {
    local entry old
    entry="$NB_USER:*:$NB_UID:$NB_GID::/home/$NB_USER:${SHELL:-/bin/bash}"
    old=$(awk -F: -v name="$NB_USER" '$1 == name { print $3 }' /etc/passwd)
    [ -z "$old" ] || [ "$old" = "$NB_UID" ] || [ "$NB_USER" = jovyan ] ||
        report account warning "The image has its own account $NB_USER (uid $old); yours replaces it."
    # docker-stacks images call their user jovyan; here, too, it is renamed to the real one.
    entry=$entry$'\n'$(without_names /etc/passwd "$NB_USER" jovyan)
    printf '%s\n' "$entry" >/etc/passwd || refuse account "/etc/passwd cannot be written."
}
