"""The commands' client of the hub's API: whom it trusts, and what it does with odd answers."""

from __future__ import annotations

import datetime
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cli.errors import CommandError
from cli.hub_api import HubAPI
from hub_config.settings import Settings

TOKEN = "the commands' token"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request with what the server was told to."""

    status, body = 200, b'{"version": "6.1.1"}'
    seen: list[tuple[str, str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_DELETE = do_POST = do_GET  # noqa: N815 (names of the standard library)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def make_certificate(folder: Path, name: str) -> Path:
    """Write NAME.crt and NAME.key of a certificate that names another host."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(encoding))
    form, closed = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(encoding, form, closed))
    (folder / f"{name}.key").chmod(0o600)
    return folder / f"{name}.crt"


@contextmanager
def listening(
    status: int = 200, body: bytes = Answers.body, certificate: Path | None = None
) -> Iterator[tuple[int, list[tuple[str, str, str | None]]]]:
    """Listen on a port; yields it and the requests that came."""
    handler = type("Handler", (Answers,), {"status": status, "body": body, "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port, handler.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings_for(port: int, certificate: Path | None = None) -> Settings:
    hub: dict[str, object] = {"port": port}
    if certificate:
        key = certificate.with_suffix(".key")
        hub |= {"certificate_crt": str(certificate), "certificate_key": str(key)}
    return Settings.model_validate({"hub": hub})


def test_version_is_what_the_hub_says() -> None:
    with listening() as (port, seen):
        assert HubAPI(settings_for(port)).version() == "6.1.1"
    assert seen == [("GET", "/hub/api/", None)]


def test_http_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is on this machine; a proxy would get the token."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with listening() as (port, _):
        assert HubAPI(settings_for(port), TOKEN).version() == "6.1.1"


def test_own_certificate_is_trusted_whatever_host_it_names(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "hub")
    with listening(certificate=certificate) as (port, _):
        assert HubAPI(settings_for(port, certificate)).version() == "6.1.1"


def test_other_certificate_is_refused_before_the_token_is_sent(tmp_path: Path) -> None:
    ours = make_certificate(tmp_path, "hub")
    with listening(certificate=make_certificate(tmp_path, "other")) as (port, seen):
        assert HubAPI(settings_for(port, ours), TOKEN).version() is None
    assert seen == []


def test_hub_that_is_away_has_no_version() -> None:
    with listening() as (port, _):
        pass
    assert HubAPI(settings_for(port)).version() is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b"<html>"), (404, b""), (200, b"<html>"), (200, b""), (200, b"[]"), (200, b"{}")],
)
def test_what_is_not_the_hub_has_no_version(status: int, body: bytes) -> None:
    with listening(status, body) as (port, _):
        assert HubAPI(settings_for(port)).version() is None


def test_refusal_is_an_error_in_words() -> None:
    with (
        listening(403, b"no") as (port, _),
        pytest.raises(CommandError, match="403") as caught,
    ):
        HubAPI(settings_for(port), TOKEN).servers()
    assert TOKEN not in f"{caught.value} {caught.value.fix} {caught.value.lines}"


def test_names_of_users_are_quoted_in_addresses() -> None:
    with listening(204, b"") as (port, seen):
        api = HubAPI(settings_for(port), TOKEN)
        api.stop_server("a/../b c", "")
        api.stop_server("é", "x/y")
    assert [path for _, path, _ in seen] == [
        "/hub/api/users/a%2F..%2Fb%20c/server",
        "/hub/api/users/%C3%A9/servers/x%2Fy",
    ]
    assert {authorization for _, _, authorization in seen} == {f"token {TOKEN}"}


def test_servers_of_users_become_one_list() -> None:
    users = [
        {"name": "ann", "servers": {"": {"ready": True, "pending": None, "url": "/user/ann/"}}},
        {"name": "bob", "servers": {"big": {"ready": False, "pending": "spawn"}}},
        {"name": "cleo", "servers": {}},
    ]
    with listening(200, json.dumps(users).encode()) as (port, _):
        found = HubAPI(settings_for(port), TOKEN).servers()
    assert [(server["user"], server["name"], server["ready"]) for server in found] == [
        ("ann", "", True),
        ("bob", "big", False),
    ]
