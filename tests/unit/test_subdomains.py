"""`hub.subdomain_host`: which addresses are taken, and who is told of it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from traitlets.config import Config

from cli.check_config import notes, summary
from cli.hub_api import HubAPI
from cli.node import proxy_command
from hub_config import wiring
from hub_config.settings import Hub, Settings
from hub_config.state import State

GITHUB = {"github": {"client_id": "a", "client_secret": "b", "organization": "c"}}
LOCAL = {"subdomain_host": "http://hub.localhost:8000"}
BEHIND_A_PROXY = {
    "public_url": "https://hub.example.org",
    "subdomain_host": "https://hub.example.org",
}
CERTIFICATE = {"certificate_crt": "/a.crt", "certificate_key": "/a.key"}


@pytest.mark.parametrize(
    ("tables", "address"),
    [
        ({}, ""),
        (LOCAL, "http://hub.localhost:8000"),
        (BEHIND_A_PROXY, "https://hub.example.org"),
        (
            {**BEHIND_A_PROXY, "subdomain_host": "HTTPS://Hub.Example.org:443/"},
            "https://hub.example.org",
        ),
        (
            {**BEHIND_A_PROXY, "public_url": "https://HUB.example.org:"},
            "https://hub.example.org",
        ),
        (
            {
                "bind": "192.0.2.1",
                "port": 443,
                "subdomain_host": "https://hub.example.org",
                **CERTIFICATE,
            },
            "https://hub.example.org",
        ),
        (
            {"bind": "192.0.2.1", "port": 8443, "subdomain_host": "https://a-b.c1:8443"}
            | CERTIFICATE,
            "https://a-b.c1:8443",
        ),
        (
            {"bind": "192.0.2.1", "port": 80, "subdomain_host": "http://hub.example.org"},
            "http://hub.example.org",
        ),
    ],
)
def test_address_comes_out_as_browsers_write_it(tables: dict[str, Any], address: str) -> None:
    """It is also the address that people are told."""
    hub = Hub.model_validate(tables)
    assert hub.subdomain_host == address
    assert hub.url == f"{address or 'http://127.0.0.1:8000'}/"


@pytest.mark.parametrize(
    ("tables", "message", "fix"),
    [
        ({"subdomain_host": "hub.example.org"}, "must be a web address", "https://"),
        ({"subdomain_host": "ftp://hub.example.org"}, "must be a web address", "https://"),
        ({"subdomain_host": "https://hub.example.org/jupyter"}, "must end after", "/jupyter"),
        ({"subdomain_host": "http://localhost:8000"}, "host name with a dot", "https://"),
        ({"subdomain_host": "http://127.0.0.1:8000"}, "host name with a dot", "https://"),
        ({"subdomain_host": "http://[::1]:8000"}, "host name with a dot", "https://"),
        ({"subdomain_host": "https://*.example.org"}, "host name with a dot", "https://"),
        ({"subdomain_host": "https://hub.example.org."}, "host name with a dot", "https://"),
        (
            {**BEHIND_A_PROXY, "subdomain_host": "http://hub.example.org"},
            "is another address than hub.public_url",
            "Write https://hub.example.org for both",
        ),
        (
            {**BEHIND_A_PROXY, "subdomain_host": "https://hub.example.org:8443"},
            "is another address than hub.public_url",
            "Write https://hub.example.org for both",
        ),
        (
            {"subdomain_host": "http://hub.localhost:8001"},
            "speaks http on port 8000",
            "otherwise write http://hub.localhost:8000.",
        ),
        (
            {"bind": "192.0.2.1", "port": 443, "subdomain_host": "http://a.b:443", **CERTIFICATE},
            "speaks https on port 443",
            "otherwise write https://a.b.",
        ),
        (
            {"port": 80, "subdomain_host": "http://hub.example.org"},
            "only this machine reaches, at 127.0.0.1",
            "otherwise set hub.bind",
        ),
    ],
)
def test_address_that_cannot_work_is_refused(
    tables: dict[str, Any], message: str, fix: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Hub.model_validate(tables)
    (error,) = caught.value.errors()
    assert error["loc"] == ("subdomain_host",)
    assert message in error["msg"]
    assert fix in error["ctx"]["fix"]


@pytest.mark.parametrize("wrong", [{"port": 0}, {"bind": "*"}, {"public_url": "hub.example.org"}])
def test_wrong_neighbours_raise_no_second_complaint(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Hub.model_validate({"subdomain_host": "http://hub.localhost:8000", **wrong})
    assert [error["loc"] for error in caught.value.errors()] == [tuple(wrong)]


def test_demo_mode_takes_names_of_this_machine_only() -> None:
    assert Settings.model_validate({"hub": LOCAL}).is_demo
    with pytest.raises(ValidationError, match="demo mode"):
        Settings.model_validate({"hub": BEHIND_A_PROXY})
    with pytest.raises(ValidationError, match="demo mode"):
        Settings.model_validate({"hub": {**LOCAL, "bind": "192.0.2.1"}})


@pytest.mark.parametrize(("hub", "is_told"), [(LOCAL, True), ({}, False)])
def test_proxy_chooses_by_host_only_where_it_is_set(hub: dict[str, Any], is_told: bool) -> None:
    command = proxy_command(Settings.model_validate({"hub": hub}))
    assert ("--host-routing" in command) is is_told


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    for name in ("JUPYTERHUB_CRYPT_KEY", "CONFIGPROXY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")  # the wiring sets them; they are gone after the test
    return State(tmp_path / "data").prepare()


def test_jupyterhub_is_told(state: State) -> None:
    c = Config()
    wiring.hub(c, Settings.model_validate({"hub": LOCAL}), state, "172.30.0.1")
    assert c.JupyterHub.subdomain_host == "http://hub.localhost:8000"
    assert c.JupyterHub.public_url == "http://hub.localhost:8000/"


def test_jupyterhub_is_told_nothing_where_it_is_not_set(state: State) -> None:
    c = Config()
    wiring.hub(c, Settings(), state, "172.30.0.1")
    assert "subdomain_host" not in c.JupyterHub
    assert "public_url" not in c.JupyterHub


@contextmanager
def hosts_asked_for() -> Iterator[tuple[int, list[str | None]]]:
    """Listen on a port as a hub; yields it and the Host header of each request."""
    seen: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(", ".join(self.headers.get_all("Host", [])))
            body = b'{"version": "6.1.1"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_commands_ask_for_the_name_at_the_address() -> None:
    """The name need not resolve on this machine."""
    with hosts_asked_for() as (port, seen):
        address = f"http://hub.localhost:{port}"
        hub = {"port": port, "subdomain_host": address}
        assert HubAPI(Settings.model_validate({"hub": hub})).version() == "6.1.1"
        behind = Settings.model_validate({"hub": BEHIND_A_PROXY | {"port": port}, "login": GITHUB})
        assert HubAPI(behind).version() == "6.1.1"
    assert seen == [f"hub.localhost:{port}", "hub.example.org"]


def test_commands_ask_for_the_address_otherwise() -> None:
    """Without the setting, and where the hub is asked past its proxy."""
    with hosts_asked_for() as (port, seen):
        assert HubAPI(Settings.model_validate({"hub": {"port": port}})).version() == "6.1.1"
        direct = f"http://127.0.0.1:{port}/hub/api"
        assert HubAPI(Settings.model_validate({"hub": LOCAL}), url=direct).version() == "6.1.1"
    assert seen == [f"127.0.0.1:{port}"] * 2


def test_shared_address_is_noted_where_real_people_sign_in() -> None:
    def told(hub: dict[str, Any], login: dict[str, Any]) -> bool:
        made = Settings.model_validate({"hub": hub, "login": login})
        return any("hub.subdomain_host" in note for note in notes(made))

    assert told({}, GITHUB)
    assert not told({}, {})
    assert not told(BEHIND_A_PROXY, GITHUB)
    separate = Settings.model_validate({"hub": BEHIND_A_PROXY, "login": GITHUB})
    assert ("servers", "at names of their own, NAME.hub.example.org") in summary(separate)
