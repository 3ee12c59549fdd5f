"""The runtime directory, where hub and container tell each other what root alone may know."""

import json
import os
import stat
import sys
from contextlib import suppress
from typing import Optional

from refusal import REFUSED

FOLDER = "/run/labhub"


def check_folder() -> None:
    """Exit where there is no folder that only root can reach."""
    try:
        found: Optional[os.stat_result] = os.stat(FOLDER, follow_symlinks=False)
    except OSError:
        found = None
    if os.geteuid() != 0 or not found or found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o077:
        said = f"labhub-wait needs root, and the hub's folder {FOLDER}, closed to others."
        print(f"labhub: {said}", file=sys.stderr)
        sys.exit(REFUSED)


def write_ready() -> None:
    """Tell the hub that the imports are done, and how much memory they take.

    Nobody needs it once there is an owner: a full disk is no reason to end then, and before that
    the hub waits for so long only.
    """
    new = f"{FOLDER}/.ready.json"
    with suppress(OSError):
        with open("/proc/self/smaps_rollup", encoding="ascii") as lines:
            pss = next(line for line in lines if line.startswith("Pss:"))
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as ready:
            json.dump({"version": 1, "memory_kib": int(pss.split()[1])}, ready)
        os.rename(new, f"{FOLDER}/ready.json")
