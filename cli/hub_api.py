"""What the commands ask a running hub, through the proxy and the hub's API.

Only this machine is spoken to, never through an HTTP proxy of the environment. With TLS the hub is
known by its own certificate, whatever name stands in it. Where servers have names of their own, the
proxy is told the hub's name, since it chooses by the name that is asked for.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from cli.errors import CommandError
from hub_config.settings import Settings

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (not bound to)
PAGE_SIZE = 200


class HubAPI:
    """A client of the hub's API.

    Args:
        settings: Where the hub is.
        token: The token of the commands (`State.cli_token`); without one only `version()` works.
        url: Address of the API. Empty: through the proxy.
    """

    def __init__(self, settings: Settings, token: str = "", url: str = "") -> None:
        hub = settings.hub
        host = ANY_ADDRESS.get(hub.bind, hub.bind)
        host = f"[{host}]" if ":" in host else host
        self.url = (
            url or f"{'https' if hub.certificate_crt else 'http'}://{host}:{hub.port}/hub/api"
        )
        self._token = token
        self._name = "" if url else urllib.parse.urlsplit(hub.subdomain_host).netloc
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if hub.certificate_crt:
            handlers.append(urllib.request.HTTPSHandler(context=_trust_only(hub.certificate_crt)))
        self._opener = urllib.request.build_opener(*handlers)

    def version(self, timeout_s: float = 5) -> str | None:
        """Return JupyterHub's version, None when the hub does not answer."""
        try:
            answer = self._ask("GET", "/", timeout_s)
        except CommandError:
            return None
        return str(answer["version"]) if isinstance(answer, dict) and "version" in answer else None

    def servers(self) -> list[dict[str, Any]]:
        """Return every server that runs or starts: user, name, ready, pending, started, url.

        Raises:
            CommandError: the hub cannot be asked.
        """
        found: list[dict[str, Any]] = []
        offset = 0
        while True:
            path = f"/users?state=active&limit={PAGE_SIZE}&offset={offset}"
            users = self._ask("GET", path, 30)
            for user in users:
                for name, server in (user.get("servers") or {}).items():
                    found.append(
                        {
                            "user": user["name"],
                            "name": name,
                            "ready": bool(server.get("ready")),
                            "pending": server.get("pending"),
                            "started": server.get("started"),
                            "url": server.get("url"),
                        }
                    )
            if len(users) < PAGE_SIZE:
                return found
            offset += PAGE_SIZE

    def stop_server(self, user: str, name: str) -> None:
        """Ask the hub to stop one server; it may take a while after this returns.

        Raises:
            CommandError: the hub refused.
        """
        quoted = urllib.parse.quote(user, safe="")
        path = f"/users/{quoted}/servers/{urllib.parse.quote(name, safe='')}"
        if not name:
            path = f"/users/{quoted}/server"
        self._ask("DELETE", path, 60)

    def restore_routes(self) -> None:
        """Let the hub write its routes to a proxy that has just been started.

        Raises:
            CommandError: the hub cannot be asked.
        """
        self._ask("POST", "/proxy", 60)

    def _ask(self, method: str, path: str, timeout_s: float) -> Any:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 (our own URL)
        if self._name:
            request.add_header("Host", self._name)
        if self._token:
            request.add_header("Authorization", f"token {self._token}")
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise CommandError(
                    f"The hub answered {error.code} to {method} {path}",
                    "./labhub down, then ./labhub up",
                ) from error
        except (OSError, http.client.HTTPException) as error:
            raise CommandError("The hub does not answer", "./labhub doctor") from error
        try:
            return json.loads(body) if body else None
        except ValueError as error:
            raise CommandError("What answers is not the hub", "./labhub doctor") from error


def _trust_only(certificate: Any) -> ssl.SSLContext:
    """Make a context that accepts the hub's own certificate and no other."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is the anchor
    context.check_hostname = False  # it names the public address, not this machine's
    return context
