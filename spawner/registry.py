"""Ask a registry for the digest behind a tag.

One HEAD of the manifest, which public registries do not count as a pull (the engine's own question
does a GET as well, which they count). Protocol: OCI Distribution Specification 1.1, "Checking if
content exists in the registry"; tokens: Docker Registry v2 authentication.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from docker.auth import resolve_repository_name
from docker.errors import DockerException
from docker.utils import parse_repository_tag
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from hub_config.settings import Registry as RegistrySettings

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
DOCKER_HUB = "registry-1.docker.io"
"""Where Docker Hub answers the registry protocol."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegistryError(Exception):
    """The registry gave no digest; str() is a text for the log, without credentials."""


@dataclass(frozen=True)
class Reference:
    """An image reference in its parts.

    Attributes:
        repository: As the engine wants it, such as `127.0.0.1:5000/lab/notebook`.
        tag: The tag, or a digest after `@`.
        host: The registry.
        path: The repository within the registry.
    """

    repository: str
    tag: str
    host: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take an image reference apart; a missing tag is `latest`.

        Raises:
            ValueError: no valid reference.
        """
        repository, tag = parse_repository_tag(text)
        try:
            host, path = resolve_repository_name(repository)
        except DockerException as error:
            raise ValueError(f"{text!r} is no image reference: {error}") from error
        if host == "docker.io":
            host = DOCKER_HUB
            path = path if "/" in path else f"library/{path}"
        return cls(repository, tag or "latest", host, path)

    @property
    def is_pinned(self) -> bool:
        """Tell whether the reference names a digest, which never changes."""
        return self.tag.startswith("sha256:")

    @property
    def base_url(self) -> str:
        """Return the registry's address; plain HTTP on loopback only, as the engine does."""
        name = urlsplit(f"//{self.host}").hostname or ""
        try:
            loopback = ipaddress.ip_address(name).is_loopback
        except ValueError:
            loopback = name == "localhost"
        return f"{'http' if loopback else 'https'}://{self.host}"


class Registry:
    """One way to ask registries, with the credentials for one of them.

    Args:
        host: The private registry; empty when there is none.
        username: Name to sign in with.
        password: Password or token.
        timeout_s: Deadline of the whole question.
    """

    def __init__(self, host: str, username: str, password: str, timeout_s: float) -> None:
        self._host = DOCKER_HUB if host in ("docker.io", "index.docker.io") else host
        self._username, self._password = username, password
        self._timeout_s = timeout_s

    @classmethod
    def of(cls, settings: RegistrySettings, timeout_s: float) -> Registry:
        """Return the registry of `[registry]` in the settings."""
        password = settings.password.get_secret_value() if settings.password else ""
        return cls(settings.host, settings.username, password, timeout_s)

    def credentials(self, reference: Reference) -> dict[str, str] | None:
        """Return the engine's `auth_config` for a reference; None where we have none."""
        if not self._username or self._host != reference.host:
            return None
        return {"username": self._username, "password": self._password}

    async def digest(self, reference: Reference) -> str:
        """Return the digest behind a tag, `sha256:` and 64 hex digits.

        Raises:
            RegistryError: the registry refused, could not be reached or took too long.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._ask(reference)
        except (OSError, ValueError, HTTPClientError) as error:  # TimeoutError is an OSError
            reason = str(error) or type(error).__name__
            raise RegistryError(f"{reference.host} could not be asked: {reason}") from error

    async def _ask(self, reference: Reference) -> str:
        url = f"{reference.base_url}/v2/{reference.path}/manifests/{reference.tag}"
        headers = HTTPHeaders({"Accept": _MANIFESTS})
        response = await self._fetch("HEAD", url, headers)
        if response.code == 401:
            headers["Authorization"] = await self._authorization(reference, response)
            response = await self._fetch("HEAD", url, headers)
        digest = response.headers.get("Docker-Content-Digest", "")
        if response.code == 200 and _DIGEST.fullmatch(digest):
            return digest
        raise RegistryError(f"{reference.host} answered {response.code} for {reference.path}")

    async def _authorization(self, reference: Reference, challenge: HTTPResponse) -> str:
        """Return the header value that a 401 asks for."""
        scheme, _, rest = challenge.headers.get("WWW-Authenticate", "").partition(" ")
        known = self.credentials(reference)
        if scheme.lower() == "basic" and known:
            return _basic(known)
        if scheme.lower() != "bearer":
            raise RegistryError(f"{reference.host} asks for credentials: set [registry]")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = fields.pop("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise RegistryError(f"{reference.host} names no token service")
        if known and urlsplit(realm).scheme == "http" and reference.base_url.startswith("https"):
            raise RegistryError(f"{reference.host} wants the password over plain HTTP: refused")
        headers = HTTPHeaders({"Authorization": _basic(known)} if known else {})
        response = await self._fetch("GET", f"{realm}?{urlencode(fields)}", headers)
        if response.code != 200:
            raise RegistryError(f"{reference.host}'s token service answered {response.code}")
        answer = json.loads(response.body)
        if not isinstance(answer, dict):
            raise RegistryError(f"{reference.host}'s token service answered no JSON object")
        return f"Bearer {answer.get('token') or answer.get('access_token')}"

    async def _fetch(self, method: str, url: str, headers: HTTPHeaders) -> HTTPResponse:
        request = HTTPRequest(
            url,
            method=method,
            headers=headers,
            connect_timeout=self._timeout_s,
            request_timeout=self._timeout_s,
            follow_redirects=False,
        )
        return await AsyncHTTPClient().fetch(request, raise_error=False)


def _basic(known: dict[str, str]) -> str:
    pair = f"{known['username']}:{known['password']}".encode()
    return "Basic " + base64.b64encode(pair).decode()
