"""Image references, and the questions to a registry (over real HTTP)."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from spawner.registry import Reference, Registry, RegistryError

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "path", "tag"),
    [
        ("debian", "registry-1.docker.io", "library/debian", "latest"),
        ("growthastro/notebook:deploy", "registry-1.docker.io", "growthastro/notebook", "deploy"),
        ("quay.io/jupyter/base-notebook:x", "quay.io", "jupyter/base-notebook", "x"),
        ("127.0.0.1:5000/lab:deploy", "127.0.0.1:5000", "lab", "deploy"),
        ("lab.example.org:5000/a/b/c", "lab.example.org:5000", "a/b/c", "latest"),
    ],
)
def test_references(text: str, host: str, path: str, tag: str) -> None:
    """A reference is taken apart as the engine does it."""
    reference = Reference.parse(text)
    assert (reference.host, reference.path, reference.tag) == (host, path, tag)


def test_only_loopback_is_asked_without_tls() -> None:
    """A password never travels in the clear."""
    assert Reference.parse("127.0.0.1:5000/a").base_url == "http://127.0.0.1:5000"
    assert Reference.parse("localhost:5000/a").base_url == "http://localhost:5000"
    assert Reference.parse("10.0.0.1:5000/a").base_url == "https://10.0.0.1:5000"


class Manifests(RequestHandler):
    """A registry as the distribution specification has it, with a switchable way to sign in."""

    def head(self, path: str, tag: str) -> None:
        world = self.application.settings
        world["asked"].append((path, tag))
        given = self.request.headers.get("Authorization", "")
        host = self.request.host
        challenges = {
            "bearer": f'Bearer realm="http://{host}/token",service="r",scope="repository:{path}:pull"',
            "basic": 'Basic realm="r"',
        }
        if world["auth"] and given != world["expected"]:
            self.set_status(401)
            self.set_header("WWW-Authenticate", challenges[world["auth"]])
            return
        if tag == "deploy":
            self.set_header("Docker-Content-Digest", DIGEST)
        elif tag == "odd":
            self.set_header("Docker-Content-Digest", "md5:abc")
        else:
            self.set_status(404)


class Token(RequestHandler):
    """The token service that a Bearer challenge names."""

    def get(self) -> None:
        world = self.application.settings
        world["token_asked_by"].append(self.request.headers.get("Authorization", ""))
        self.write({"token": "t0ken"})


@pytest_asyncio.fixture
async def world() -> AsyncIterator[dict[str, object]]:
    app = Application(
        [(r"/v2/(.*)/manifests/(.*)", Manifests), (r"/token", Token)],
        asked=[],
        token_asked_by=[],
        auth="",
        expected="",
    )
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(app)
    server.add_sockets(sockets)
    app.settings["host"] = f"127.0.0.1:{sockets[0].getsockname()[1]}"
    yield app.settings
    server.stop()
    await server.close_all_connections()


def registry(world: dict[str, object], host: str | None = None) -> Registry:
    return Registry(str(world["host"] if host is None else host), "lab", "pass:word", 2)


BASIC = "Basic " + base64.b64encode(b"lab:pass:word").decode()


@pytest.mark.parametrize(
    ("auth", "expected"), [("", ""), ("bearer", "Bearer t0ken"), ("basic", BASIC)]
)
async def test_digest(world: dict[str, object], auth: str, expected: str) -> None:
    """The digest is had without a sign-in, with a token, and with a password."""
    world.update(auth=auth, expected=expected)
    assert await registry(world).digest(Reference.parse(f"{world['host']}/lab:deploy")) == DIGEST


async def test_credentials_go_to_their_registry_only(world: dict[str, object]) -> None:
    """Another registry than the configured one is asked without name and password."""
    world.update(auth="bearer", expected="Bearer t0ken")
    await registry(world, "quay.io").digest(Reference.parse(f"{world['host']}/lab:deploy"))
    assert world["token_asked_by"] == [""]


@pytest.mark.parametrize("tag", ["odd", "missing"])
async def test_no_digest_is_an_error(world: dict[str, object], tag: str) -> None:
    """An answer without a valid digest is refused, and says which registry."""
    with pytest.raises(RegistryError, match="answered"):
        await registry(world).digest(Reference.parse(f"{world['host']}/lab:{tag}"))


async def test_a_registry_that_is_away(world: dict[str, object]) -> None:
    """Nobody there is an error in words, without the password."""
    with pytest.raises(RegistryError, match="could not be asked") as caught:
        await registry(world).digest(Reference.parse("127.0.0.1:1/lab:deploy"))
    assert "pass:word" not in str(caught.value)
