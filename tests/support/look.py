"""What a process inside a server can see of itself; its source is run there, in server and kernel.

Python 3.11 and its standard library, but for two packages that the test puts into the person's own
site-packages: `labhub_mine`, and a `defusedxml` beside the image's.
"""

import json
import locale
import os
import resource
import site
import socket
import sys
import time
from pathlib import Path
from typing import Any

FIELDS = (
    *("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
    *("NoNewPrivs", "Seccomp", "Umask", "SigIgn", "SigBlk"),
)


def thread(task: Path) -> dict[str, str]:
    """Return what may be done in a thread."""
    lines = (task / "status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: fields[name].strip() for name in FIELDS if name in fields}


def opened() -> list[str]:
    """Return the kinds or paths of all open descriptors."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(path.readlink()).split(":[")[0])
        except OSError:
            continue  # the listing's own
    return sorted(found)


def mounts() -> list[list[str]]:
    """Return place, options and file system of each mount."""
    lines = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted([*head.split()[4:6], tail.split()[0]] for head, tail in lines)


def packages() -> list[str]:
    """Return where two packages come from that the person has installed."""
    import defusedxml  # noqa: PLC0415 (where it comes from is what is looked at)
    import labhub_mine  # noqa: PLC0415

    return [str(defusedxml.__file__), str(labhub_mine.__file__)]


def look() -> dict[str, Any]:
    """Return all of it, as JSON can hold it."""
    flags = sys.flags
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "environment": dict(os.environ),
        "path": sys.path,
        "flags": [flags.utf8_mode, flags.optimize, flags.ignore_environment, flags.isolated],
        "site": [site.ENABLE_USER_SITE, site.getuserbase(), site.getusersitepackages()],
        "packages": packages(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in limits},
        "groups": sorted(os.getgroups()),
        "ids": [os.getresuid(), os.getresgid()],
        "cwd": str(Path.cwd()),
        "host": socket.gethostname(),
        "locale": locale.setlocale(locale.LC_ALL),
        "zone": time.tzname,
        "nice": os.nice(0),
        "oom": Path("/proc/self/oom_score_adj").read_text(),
        "dumpable": Path("/proc/self/environ").stat().st_uid == os.getuid(),
        "mounts": mounts(),
        "opened": opened(),
        "threads": [thread(task) for task in sorted(Path("/proc/self/task").iterdir())],
    }


def _load_jupyter_server_extension(app: Any) -> None:
    """Look around in the server, before it listens; Jupyter calls this."""
    found = {**look(), "listens": [app.ip, app.port, app.base_url]}
    Path.home().joinpath("look.json").write_text(json.dumps(found))
