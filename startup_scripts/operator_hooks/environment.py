"""The clean environment of a hook, and the words that make it the user's process.

Neither hook gets the hub's tokens or anything else that is not listed here.
"""

import os
import shutil
from collections.abc import Mapping

from settings import Settings

PASSED_ON = (
    "COURSE_BRANCH COURSE_FOLDER COURSE_REPO JUPYTERHUB_BASE_URL JUPYTERHUB_SERVER_NAME"
    " JUPYTERHUB_SERVICE_PREFIX JUPYTERHUB_USER LANG LC_ALL NB_GID NB_UID NB_UMASK NB_USER"
    " REQUESTS_CA_BUNDLE SSL_CERT_FILE TZ http_proxy https_proxy no_proxy"
)
ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The home is entered, and the umask set, with the user's rights: root may not reach it (NFS).
ENTER = 'umask "$NB_UMASK"; cd -- "$HOME" || cd /; exec "$@"'


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


def words_of_user(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return the words before a command that run it as the user, without a way back to root."""
    words = [shutil.which("setpriv", path=ROOT_PATH) or "/usr/bin/setpriv", "--no-new-privs"]
    if os.geteuid() == 0:
        groups = environ.get("NB_GROUPS")
        if groups is None:  # not our start chain: what the image's account has
            groups = ",".join(str(gid) for gid in os.getgrouplist(settings.user, settings.gid))
        words += ["--reuid", str(settings.uid), "--regid", str(settings.gid)]
        words += ["--groups", groups] if groups else ["--clear-groups"]
        words += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    return [*words, "--", "/bin/sh", "-c", ENTER, "sh"]
