"""What a measured start hangs in, and what `labhub bench hang` makes of the measured times."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest

from bench.hang import BLOCKS, turned
from bench.hang_report import NO_HANG, STAGES, StockPolls, figures_of, table
from bench.obstacles import (
    DIGEST,
    EngineGate,
    SilentRegistry,
    body_length,
    created_container,
    read_head,
)

POST = b"POST /v1.41/containers/create?name=%s HTTP/1.1\r\nHost: localhost\r\n"
LIMIT_S = 10
STOCK = StockPolls([0.02], 5.0, answered=False)


def measured(**slow: float) -> dict[str, dict[str, list[float]]]:
    """Times of one start, poll and stop at each stage; some starts are slow."""
    return {
        name: {"start": [slow.get(name, 1.0)], "poll": [0.01], "stop": [0.5]}
        for name in (NO_HANG, *STAGES)
    }


def test_worst_ratio_is_that_of_any_stage_and_operation() -> None:
    figures = figures_of(measured(hook=1.1, port=1.5), STOCK)
    assert figures["worst_ratio"] == 1.5
    assert figures["stages"]["hook"] == {"start": 1.1, "poll": 1.0, "stop": 1.0}
    assert figures["stages"]["image"]["start"] == 1.0


def test_table_has_a_row_for_each_stage() -> None:
    made = table(figures_of(measured(port=1.5), STOCK))
    assert [row[0] for row in made.rows] == ["nowhere", *STAGES]
    assert made.rows[0][1:] == ["1.00 s", "10 ms", "0.50 s"]
    assert made.rows[-1][1:] == ["1.50 s, 1.50", "10 ms, 1.00", "0.50 s, 1.00"]
    assert "over 5.0 s" in made.notes[1]
    answered = figures_of(measured(), StockPolls([0.02], 4.0, answered=True))
    assert "in create 4.0 s" in table(answered).notes[1]


def test_each_round_begins_with_another_block() -> None:
    assert turned(["a", "b", "c"], 4) == ["b", "c", "a"]
    assert {turned(BLOCKS, number)[0] for number in range(len(BLOCKS))} == set(BLOCKS)


def test_only_the_making_of_a_container_has_its_name() -> None:
    assert created_container(POST % b"anna") == "anna"
    assert created_container(b"POST /containers/create HTTP/1.1\r\n") == ""
    assert created_container(b"GET /v1.41/containers/create?name=anna HTTP/1.1\r\n") == ""
    assert created_container(b"POST /v1.41/containers/anna/start?name=anna HTTP/1.1\r\n") == ""


def test_a_head_ends_before_the_body() -> None:
    reader = io.BufferedReader(io.BytesIO(POST % b"anna" + b"Content-Length: 2\r\n\r\n{}"))  # type: ignore[arg-type]
    head = read_head(reader)
    assert body_length(head) == 2
    assert reader.read() == b"{}"
    assert read_head(reader) == b""


def test_a_body_without_a_length_is_not_guessed() -> None:
    assert body_length(b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n") == 0
    assert body_length(b"POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") is None
    assert body_length(b"POST /exec/1/start HTTP/1.1\r\nUpgrade: tcp\r\n\r\n") is None


class Echo(BaseHTTPRequestHandler):
    """Answers each request with its body, on connections that stay."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[EngineGate]:
    """A gate before a server that echoes."""
    engine = tmp_path / "engine.sock"
    with ThreadingUnixStreamServer(str(engine), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with EngineGate(tmp_path / "gate.sock", engine, "held") as made:
            yield made
        server.shutdown()
        thread.join()


def connection(gate: EngineGate) -> http.client.HTTPConnection:
    made = http.client.HTTPConnection("localhost")
    made.sock = socket.socket(socket.AF_UNIX)
    made.sock.settimeout(LIMIT_S)
    made.sock.connect(gate.url.removeprefix("unix://"))
    return made


def echoed(http_connection: http.client.HTTPConnection, name: str, body: bytes) -> bytes:
    http_connection.request("POST", f"/v1.41/containers/create?name={name}", body)
    return http_connection.getresponse().read()


def test_all_but_the_one_container_pass_the_gate(gate: EngineGate) -> None:
    """Also one after the other on a connection that is kept, and while the one is held."""
    held, other = connection(gate), connection(gate)
    assert echoed(held, "anna", b"x" * 200_000) == b"x" * 200_000
    held.request("POST", "/v1.41/containers/create?name=held", b"body")
    while not gate.hold.count:
        assert echoed(other, "anna", b"meanwhile") == b"meanwhile"
    assert echoed(other, "bert", b"") == b""
    gate.hold.let_go()
    with pytest.raises(http.client.RemoteDisconnected):
        held.getresponse()
    assert gate.hold.count == 0
    held.close()
    other.close()


def test_silent_registry_names_a_digest_and_says_no_more() -> None:
    with SilentRegistry() as registry:
        asked = http.client.HTTPConnection(registry.host, timeout=LIMIT_S)
        asked.request("HEAD", "/v2/bench/silent/manifests/deploy")
        answer = asked.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Docker-Content-Digest"]) == (200, DIGEST)
        asked.request("GET", "/v2/")
        with asked.getresponse() as answer:
            assert answer.status == 200
        waiting = http.client.HTTPConnection(registry.host, timeout=LIMIT_S)
        waiting.request("GET", f"/v2/bench/silent/manifests/{DIGEST}")
        while not registry.hold.count:
            asked.request("GET", "/v2/")
            asked.getresponse().read()
        registry.hold.let_go()
        with pytest.raises(http.client.RemoteDisconnected):
            waiting.getresponse()
        waiting.close()
        asked.close()
