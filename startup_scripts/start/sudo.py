"""GRANT_SUDO: let the user become root by sudo, without a password."""

import os

from report import report

SUDOERS = "/etc/sudoers.d/labhub"


def grant(uid: int) -> bool:
    """Allow sudo where it is asked for; return whether the user needs a way to root."""
    if os.path.lexists(SUDOERS):
        os.unlink(SUDOERS)
    if os.environ.get("GRANT_SUDO") not in ("1", "yes"):
        return False
    folders = os.environ.get("PATH", "").split(":")
    if not any(os.access(f"{folder}/sudo", os.X_OK) for folder in folders):
        report("account", "warning", "sudo is allowed to you, but this image does not have it.")
        return False
    try:
        with open(os.open(SUDOERS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440), "w") as rule:
            rule.write(f"#{uid} ALL=(ALL:ALL) NOPASSWD: ALL\n")  # a name could mean something else
    except OSError:
        report("account", "warning", "sudo could not be allowed.")
    return True
