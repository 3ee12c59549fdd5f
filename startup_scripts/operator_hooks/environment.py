"""The clean environment of a hook, and who it runs as.

Neither hook gets the hub's tokens or anything else that is not listed here.
"""

import os
from collections.abc import Mapping

from privileges import Identity
from settings import Settings

PASSED_ON = (
    "COURSE_BRANCH COURSE_FOLDER COURSE_REPO JUPYTERHUB_BASE_URL JUPYTERHUB_SERVER_NAME"
    " JUPYTERHUB_SERVICE_PREFIX JUPYTERHUB_USER LANG LC_ALL NB_GID NB_UID NB_UMASK NB_USER"
    " REQUESTS_CA_BUNDLE SSL_CERT_FILE TZ http_proxy https_proxy no_proxy"
)
ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def common(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what both hooks get, LABHUB_HOOK_ENV ("NAME NAME") included."""
    names = PASSED_ON.split() + environ.get("LABHUB_HOOK_ENV", "").replace(",", " ").split()
    passed = {name: environ[name] for name in names if name in environ}
    return {
        "LANG": "C.UTF-8",
        "NB_UMASK": "0022",
        **passed,
        "NB_USER": settings.user,
        "NB_UID": str(settings.uid),
        "NB_GID": str(settings.gid),
    }


def of_root(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of as-root.sh: programs of the system only."""
    root = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh"}
    return {**common(settings, environ), **root, "PATH": ROOT_PATH}


def of_user(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of as-user.sh."""
    home = f"/home/{settings.user}" if os.geteuid() == 0 else environ.get("HOME", "/")
    user = {"HOME": home, "USER": settings.user, "LOGNAME": settings.user}
    shell = {"SHELL": environ.get("SHELL", "/bin/sh"), "PATH": environ.get("PATH", ROOT_PATH)}
    return {**common(settings, environ), **user, **shell}


def identity(settings: Settings, environ: Mapping[str, str]) -> Identity:
    """Return who as-user.sh runs as, without a way back to root."""
    groups = environ.get("NB_GROUPS")
    if groups is None and os.geteuid() == 0:  # not our start chain: what the image's account has
        listed = os.getgrouplist(settings.user, settings.gid)
    else:
        listed = [int(gid) for gid in (groups or "").split(",") if gid.isdecimal()]
    return Identity(settings.uid, settings.gid, tuple(listed))
