"""The steps of a start, in their order; os.environ is the server's environment in the making."""

import os
import sys
import time
from typing import NoReturn

import sudo
from account import make_account
from home import make_home
from image_hooks import run_folder
from privileges import SET_NO_NEW_PRIVILEGES, Identity, control, drop
from process import enter_home, execute
from refusal import REFUSED, StartRefused
from report import report

NEVER_FROM_OUTSIDE = ("LABHUB_START_REFUSED", "BASH_ENV", "ENV", "CDPATH")
FOR_THE_START_ONLY = "LABHUB_ADMIN_UID LABHUB_ADMIN_GID LABHUB_LOG_FOLDER LABHUB_EXTRA_GROUPS"


def prepare() -> Identity:
    """Run the whole start as root, up to the server; exit with 78 where it is refused.

    Returns:
        Whom the server belongs to. Its environment is os.environ.
    """
    forget_what_misleads()
    run_folder("start-notebook.d")
    began = time.monotonic()
    try:
        identity = make_account()
        make_home(os.environ["NB_USER"], identity)
        # For the server only: hooks run locked.
        identity = identity._replace(locked=not sudo.grant(identity.uid))
    except StartRefused as refused:
        refuse(str(refused))
    except OSError as error:
        refuse(f"The account cannot be prepared: {error}.")
    user = os.environ["NB_USER"]
    home = f"/home/{user}"
    os.environ.update(HOME=home, USER=user, LOGNAME=user, XDG_CACHE_HOME=f"{home}/.cache")
    report("account", "done", f"The account {user} is ready.", time.monotonic() - began)
    run_folder("before-notebook.d")
    report("server", "running", "The notebook server is starting.")
    # Last: nothing in a home takes the place of the image's programs.
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{os.environ['HOME']}/.local/bin"
    os.environ["PWD"] = os.environ["HOME"]
    clean_environment()
    return identity


def forget_what_misleads() -> None:
    """Drop the variables that would change what a shell of ours does."""
    for name in NEVER_FROM_OUTSIDE:
        os.environ.pop(name, None)


def refuse(reason: str) -> NoReturn:
    """Report that there will be no account, and end."""
    report("account", "failed", reason)
    sys.exit(REFUSED)


def clean_environment() -> None:
    """Drop what was for the start only, and what JUPYTER_ENV_VARS_TO_UNSET ("NAME,NAME") lists."""
    listed = os.environ.get("JUPYTER_ENV_VARS_TO_UNSET", "").replace(",", " ").split()
    hooks = [name for name in os.environ if name.startswith("LABHUB_HOOK")]
    for name in [*hooks, *FOR_THE_START_ONLY.split(), *listed]:
        os.environ.pop(name, None)


def run_command(words: list[str]) -> NoReturn:
    """Start for the owner whom the environment names, and become the command."""
    if os.geteuid() == 0:
        identity = prepare()
        drop(identity)
        enter_home(os.environ)
    else:
        said = "This container was not started as root, so the account stays as it is."
        report("account", "warning", said)
        forget_what_misleads()
        run_folder("start-notebook.d")
        run_folder("before-notebook.d")
        clean_environment()
        control(SET_NO_NEW_PRIVILEGES, 1)
    execute(words, dict(os.environ))
