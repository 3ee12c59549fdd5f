"""What a start can hang in: an engine that does not make one container, a registry that is silent.

Both are servers of the bench itself, in threads, which pass on or answer all other requests.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOLD_LIMIT_S = 600.0
"""Longer than a measurement; then a request that nobody let go is let go all the same."""

CHUNK = 65536
DIGEST = "sha256:" + "0" * 64
_CREATE = re.compile(r"(/v[0-9.]+)?/containers/create")


class Hold:
    """Where requests wait until they are let go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards both; many threads come, one lets them go
        self._count = 0
        self._let_go = threading.Event()

    @property
    def count(self) -> int:
        """Return how many wait."""
        return self._count

    def wait(self) -> None:
        """Wait until all who wait are let go; a server's thread calls this."""
        with self._lock:
            self._count += 1
            let_go = self._let_go
        let_go.wait(HOLD_LIMIT_S)

    def let_go(self) -> None:
        """Let all go who wait; who comes later waits again."""
        with self._lock:
            let_go, self._let_go = self._let_go, threading.Event()
            self._count = 0
        let_go.set()


class EngineGate:
    """A proxy in front of the engine's socket that holds the making of one container.

    A request that was held is never passed on: when it is let go, its connection ends.

    Args:
        path: The socket at which it listens.
        engine: The engine's socket.
        container: Name of the container that is not made.
    """

    def __init__(self, path: Path, engine: Path, container: str = "") -> None:
        self.url, self.container, self.hold = f"unix://{path}", container, Hold()
        self._engine = str(engine)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> EngineGate:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.let_go()
        self._listener.shutdown(socket.SHUT_RDWR)  # close() alone would not wake the thread
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self._engine)
            back = threading.Thread(target=_pump, args=(engine, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError), client.makefile("rb") as reader:
                self._pass_requests(reader, engine)
            with contextlib.suppress(OSError):
                engine.shutdown(socket.SHUT_WR)
            back.join()

    def _pass_requests(self, reader: BufferedReader, engine: socket.socket) -> None:
        """Pass on the requests of a connection, one after the other, until one is held."""
        while head := read_head(reader):
            if self.container and created_container(head) == self.container:
                self.hold.wait()
                return
            engine.sendall(head)
            length = body_length(head)
            # without a length, all that comes is the body, or another protocol
            while length != 0 and (data := reader.read1(min(length or CHUNK, CHUNK))):
                engine.sendall(data)
                length = None if length is None else length - len(data)


class SilentRegistry(ThreadingHTTPServer):
    """A registry on loopback that names a digest for every tag and never hands a manifest out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RegistryHandler)
        self.hold = Hold()
        self.host = f"127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> SilentRegistry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.let_go()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _RegistryHandler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: SilentRegistry

    def do_HEAD(self) -> None:
        """Name the digest; the hub asks for it, and some engines do."""
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def do_GET(self) -> None:
        """Say that this is a registry; whoever asks for more waits."""
        if urlsplit(self.path).path != "/v2/":
            self.server.hold.wait()
            return
        self.send_response(200)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the base)
        """Keep the terminal for the measurement."""


def read_head(reader: BufferedReader) -> bytes:
    """Read the head of the next HTTP request, with the empty line; empty at the end."""
    head = b""
    while line := reader.readline():
        head += line
        if not line.strip():
            break
    return head


def created_container(head: bytes) -> str:
    """Return the name of the container that a request to the engine makes; empty if none."""
    method, _, rest = head.partition(b" ")
    url = urlsplit(rest.split(b" ", 1)[0].decode())
    if method != b"POST" or not _CREATE.fullmatch(url.path):
        return ""
    return parse_qs(url.query).get("name", [""])[0]


def body_length(head: bytes) -> int | None:
    """Return the length in bytes of a request's body; None where the head does not tell it."""
    fields = dict(line.lower().split(b":", 1) for line in head.splitlines()[1:] if b":" in line)
    if b"transfer-encoding" in fields or b"upgrade" in fields:
        return None
    return int(fields.get(b"content-length", b"0"))


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on the engine's answers."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
