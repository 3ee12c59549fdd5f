"""What the hub, or whoever started the container, decided about the operators' hooks."""

import os
from collections.abc import Mapping
from typing import NamedTuple

RUNTIME_FOLDER = "/run/labhub"
"""Root's own directory, mounted by the hub. There is none without a hub."""


class Settings(NamedTuple):
    """The settings of one start; the attributes are named as the variables without LABHUB_."""

    user: str
    uid: int
    gid: int
    hook_folder: str
    log_folder: str
    required: frozenset[str]
    time_limit_s: float
    output_limit: int
    admin_uid: int
    admin_gid: int
    has_hub: bool


def whole_number(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return a positive number of the environment, or the default where it is none."""
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) < 2**32 else default


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the variables of the container; what is missing is as in the images of the seed."""
    hooks = ("as-root", "as-user")
    required = [
        name
        for name in hooks
        if environ.get("LABHUB_HOOK_" + name.upper().replace("-", "_")) == "required"
    ]
    return Settings(
        user=environ.get("NB_USER", "jovyan"),
        uid=whole_number(environ, "NB_UID", 1000),
        gid=whole_number(environ, "NB_GID", 100),
        hook_folder=environ.get("LABHUB_HOOK_FOLDER") or "/home/admin/start",
        log_folder=environ.get("LABHUB_LOG_FOLDER") or "/home/admin/logs",
        required=frozenset(required),
        time_limit_s=whole_number(environ, "LABHUB_HOOK_TIME_LIMIT_S", 60),
        output_limit=whole_number(environ, "LABHUB_HOOK_OUTPUT_LIMIT_KIB", 1024) * 1024,
        admin_uid=whole_number(environ, "LABHUB_ADMIN_UID", 999),
        admin_gid=whole_number(environ, "LABHUB_ADMIN_GID", 996),
        has_hub=os.path.isdir(RUNTIME_FOLDER),
    )
