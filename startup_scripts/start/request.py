"""The request of a hub that claims this container: one line of JSON, at most 1 MiB."""

import json
import os
import re
import socket
import time

LARGEST = 2**20
PATIENCE_S = 5
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unreadable(Exception):
    """A request that counts for nothing; the text says why, to the hub's log."""


def read_line(hub: socket.socket) -> bytes:
    """Return what comes before the first line's end."""
    deadline, data = time.monotonic() + PATIENCE_S, bytearray()
    while b"\n" not in data[-65536:]:
        hub.settimeout(max(0.001, deadline - time.monotonic()))
        new = hub.recv(65536)
        if not new:
            raise Unreadable("the request has no end")
        data += new
        if len(data) > LARGEST:
            raise Unreadable("the request is too long")
    hub.settimeout(PATIENCE_S)
    return bytes(data).split(b"\n", 1)[0]


def read_environment(line: bytes) -> dict[str, str]:
    """Return the environment of a request."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the request is no JSON") from error
    if not isinstance(request, dict) or request.get("version") != 1:
        raise Unreadable("the request is not of version 1")
    environ = request.get("environment")
    if not isinstance(environ, dict):
        raise Unreadable("the request has no environment")
    for name, value in environ.items():
        if not NAME.fullmatch(name) or not isinstance(value, str) or not is_sane(value):
            raise Unreadable("a variable of the request cannot be one")
    return environ


def is_sane(value: str) -> bool:
    """Tell whether a value can be that of a variable."""
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeError:
        return False
