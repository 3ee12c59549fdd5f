"""The account of the server's user: NB_USER, NB_UID, NB_GID, NB_GROUP, NB_UMASK, and its groups.

The files are written directly: useradd refuses names that JupyterHub allows and takes longer.
"""

import os
import re

from privileges import Identity
from refusal import StartRefused
from report import report

PASSWD, GROUP = "/etc/passwd", "/etc/group"
# What is missing is as in docker-stacks images.
DEFAULTS = {"NB_USER": "jovyan", "NB_UID": "1000", "NB_GID": "100", "NB_UMASK": "0022"}
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
NUMBER = re.compile(r"[1-9][0-9]{0,9}")
EXTRA_GROUP = re.compile(r"([a-z0-9_][a-z0-9_.-]{0,62}):([1-9][0-9]{0,9})")
NO_ID = 2**32 - 1


def make_account() -> Identity:
    """Write the account and its groups; set NB_USER, NB_UID, NB_GID, NB_UMASK and NB_GROUPS."""
    check_account()
    user, uid, gid = (os.environ[name] for name in ("NB_USER", "NB_UID", "NB_GID"))
    extra = extra_groups(os.environ.get("LABHUB_EXTRA_GROUPS", ""))
    try:
        write_account(user, uid, gid)
    except OSError as error:
        raise StartRefused(f"{PASSWD} cannot be written.") from error
    name_groups([(os.environ.get("NB_GROUP") or user, gid), *extra])
    # Not 100, which may write to conda in docker-stacks images: what a user installs there would be
    # gone with the container; so it goes to the home.
    os.environ["NB_GROUPS"] = ",".join(number for _, number in extra)
    return Identity(int(uid), int(gid), tuple(int(number) for _, number in extra))


def check_account() -> None:
    """Set what is missing, and refuse what cannot be."""
    for name, default in DEFAULTS.items():
        os.environ[name] = os.environ.get(name) or default
    if not NAME.fullmatch(os.environ["NB_USER"]):
        raise StartRefused(
            "NB_USER is no possible account name: letters, digits, '_', '.' and '-'."
        )
    if os.environ["NB_USER"] == "root":
        raise StartRefused("A server never runs as root: NB_USER must not be root.")
    for name in ("NB_UID", "NB_GID"):
        if not NUMBER.fullmatch(os.environ[name]) or int(os.environ[name]) >= NO_ID:
            raise StartRefused(f"{name} must be a number above 0: a server never runs as root.")
    if not re.fullmatch("[0-7]{3,4}", os.environ["NB_UMASK"]):
        raise StartRefused("NB_UMASK must be octal, such as 0022.")
    if re.search(r"[:,\s]", os.environ.get("NB_GROUP", "")):
        raise StartRefused("NB_GROUP is no possible name of a group.")


def extra_groups(listed: str) -> list[tuple[str, str]]:
    """Return names and ids of `name:gid,name:gid`."""
    found = [EXTRA_GROUP.fullmatch(pair) for pair in listed.replace(",", " ").split()]
    if not all(pair and int(pair[2]) < NO_ID for pair in found):
        raise StartRefused("LABHUB_EXTRA_GROUPS must be name:gid,name:gid, without group 0.")
    return [(pair[1], pair[2]) for pair in found if pair]


def write_account(user: str, uid: str, gid: str) -> None:
    """Put the user first in /etc/passwd, where a uid that the image uses as well is this name's."""
    with open(PASSWD, encoding="utf-8", errors="surrogateescape") as accounts:
        lines = accounts.read().splitlines()
    old = [line.split(":")[2:3] for line in lines if line.split(":")[0] == user]
    if old and old[0] != [uid] and user != "jovyan":
        said = f"The image has its own account {user} (uid {''.join(old[0])}); yours replaces it."
        report("account", "warning", said)
    shell = os.environ.get("SHELL", "")
    shell = shell if re.fullmatch(r"/[^:\s]+", shell) else "/bin/bash"
    # docker-stacks images call their user jovyan; here, too, it is renamed to the real one.
    kept = [line for line in lines if line.split(":")[0] not in (user, "jovyan")]
    entry = f"{user}:*:{uid}:{gid}::/home/{user}:{shell}"
    with open(PASSWD, "w", encoding="utf-8", errors="surrogateescape") as accounts:
        accounts.write("\n".join([entry, *kept, ""]))


def name_groups(wanted: list[tuple[str, str]]) -> None:
    """Give each group id that has no name the one wanted, or NAME-ID where that is taken."""
    try:
        with open(GROUP, "r+", encoding="utf-8", errors="surrogateescape") as groups:
            fields = [line.split(":") for line in groups.read().splitlines()]
            names, numbers = {field[0] for field in fields}, {"".join(f[2:3]) for f in fields}
            for name, number in wanted:
                if number not in numbers:
                    new = f"{name}-{number}" if name in names else name
                    groups.write(f"{new}:x:{number}:\n")
                    names.add(new)
                    numbers.add(number)
    except OSError as error:
        report("account", "warning", f"Your groups have no names: {error.strerror}.")
