"""A server extension of a user: prints what it finds in the server's process, and ends it."""

import json
import multiprocessing.process
import os
import site
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "findings"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Print the findings as JSON. Called before JupyterHub's extension looks for its hub."""
    import aiohttp.connector  # noqa: PLC0415 # as the server itself imports them
    import send2trash.plat_other as trash  # noqa: PLC0415
    import tornado  # noqa: PLC0415
    from jupyter_client.session import Session  # noqa: PLC0415
    from jupyterhub.services.auth import HubOAuth  # noqa: PLC0415
    from jupyterlab.labapp import LabApp  # noqa: PLC0415

    umask = os.umask(0)
    hub = {name: trait.default_value for name, trait in HubOAuth.class_traits(config=True).items()}
    found = {
        "argv": sys.argv,
        "bytecode": sys.dont_write_bytecode,
        "certificates": len(aiohttp.connector._SSL_CONTEXT_VERIFIED.get_ca_certs()),
        "environ": dict(os.environ),
        "first": sys.path[0],
        "folder": [str(Path.cwd()), multiprocessing.process.ORIGINAL_DIR],
        "hub": repr(sorted(hub.items())),
        "lab": [LabApp.user_settings_dir.default_value, LabApp.workspaces_dir.default_value],
        "last": sys.path[-1],
        "others": sorted({*sys.path} - {sys.path[0]}),
        "ours": [name for name in sys.modules if name.partition(".")[0] == "server"],
        "session": [Session().username, Session(parent=app).username],
        "site": [site.ENABLE_USER_SITE, site.USER_BASE, site.USER_SITE],
        "sysconfig": sysconfig.get_config_var("userbase"),
        "tornado": tornado.__file__,
        "trash": [trash.HOMETRASH, trash.TOPDIR_FALLBACK.decode(), trash.uid],
        "umask": umask,
        "zone": time.tzname,
    }
    os.write(1, json.dumps(found).encode())
    os._exit(0)
