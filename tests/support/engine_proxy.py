"""A proxy in front of the engine's socket that can be told to misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

ENGINE = "/var/run/docker.sock"
ANSWER_500 = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b'Content-Length: 18\r\nConnection: close\r\n\r\n{"message":"oops"}'
)


class EngineProxy:
    """Passes connections on to the engine, or spoils them.

    Attributes:
        mode: `pass`, `500` (each request is answered so) or `close` (each connection ends at once).
    """

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.mode = "pass"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def spoil(self, mode: str) -> None:
        """Change the mode; connections that are open end, as their owners keep them for later."""
        self.mode = mode
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        """Stop serving."""
        self.spoil("close")
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if self.mode == "500":
                client.recv(65536)
                client.sendall(ANSWER_500)
            elif self.mode == "pass":
                with socket.socket(socket.AF_UNIX) as engine:
                    engine.connect(ENGINE)
                    self._open += [client, engine]
                    back = threading.Thread(target=_pump, args=(engine, client), daemon=True)
                    back.start()
                    _pump(client, engine)
                    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
