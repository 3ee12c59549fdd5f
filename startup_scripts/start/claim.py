"""Be claimed once: a socket that only root reaches, one request, then the start chain.

The request is one line of JSON, `{"version": 1, "environment": {NAME: value}}`; the answer
`{"taken": true}` or `{"error": "..."}`. The file `claimed` says for ever that there was an owner.
"""

import json
import os
import socket
import sys
from typing import Optional

import chain
from privileges import control
from refusal import REFUSED
from request import Unreadable, read_environment, read_line

SET_PARENT_DEATH_SIGNAL, KILL = 1, 9


def run(main: int, told: int, folder: str) -> None:
    """Wait for a claim, run the start chain, and tell the main process whom it belongs to.

    Args:
        main: The process that becomes the server; we end with it.
        told: Where it is told.
        folder: Where the socket is made.
    """
    control(SET_PARENT_DEATH_SIGNAL, KILL)
    if os.getppid() != main:
        sys.exit(1)
    os.environ.update(wait_for_claim(folder))
    identity = chain.prepare()
    message = json.dumps({"environment": dict(os.environ), "identity": identity})
    with open(told, "w", encoding="ascii") as telling:
        telling.write(message)


def wait_for_claim(folder: str) -> dict[str, str]:
    """Return the environment of the one claim that is taken; exit where its hub has gone."""
    path = f"{folder}/claim.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        if os.path.lexists(path):
            os.unlink(path)
        mask = os.umask(0o177)
        listening.bind(path)
        os.umask(mask)
        listening.listen()
        while True:
            hub, _ = listening.accept()
            with hub:
                environ = take(hub, f"{folder}/claimed")
                if environ is not None:
                    break
    os.unlink(path)
    return environ


def take(hub: socket.socket, marker: str) -> Optional[dict[str, str]]:
    """Read a request, mark the container as claimed, answer; None where it was not taken."""
    try:
        environ = read_environment(read_line(hub))
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except (Unreadable, OSError) as error:
        answer(hub, {"error": str(error)})
        return None
    if not answer(hub, {"taken": True}):
        print("labhub: whoever claimed this server has gone; it ends.", file=sys.stderr)
        sys.exit(REFUSED)
    return environ


def answer(hub: socket.socket, words: dict[str, object]) -> bool:
    """Send an answer; return whether it could be sent."""
    try:
        hub.sendall(json.dumps(words).encode() + b"\n")
    except OSError:
        return False
    return True
