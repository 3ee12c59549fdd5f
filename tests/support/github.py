"""A stand-in for GitHub: the OAuth and REST answers that a sign-in needs, over real HTTP.

It runs in a thread with its own event loop. People, their teams and their invitations are plain
data that a test changes at any time; `signed_in` is who sits at the browser. Faults are switched on
for all of the API, or for one path.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import secrets
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

CLIENT_ID = "Ov23standin"
CLIENT_SECRET = "stand-in-client-secret"


class Fault(Enum):
    """Ways in which GitHub gives no usable answer."""

    ERROR_500 = "500"
    ERROR_502 = "502"
    HANG = "never answers"
    RESET = "resets the connection"
    RATE_LIMIT = "403 with no requests left"
    SECONDARY_LIMIT = "403 with a message about the secondary rate limit"
    TOO_MANY = "429"
    GARBAGE = "200 with a page in place of JSON"
    WRONG_SHAPE = "200 with JSON of another shape"
    NOT_HTTP = "bytes that are not HTTP"
    SLOW = "a body that drips"
    FORBIDDEN = "403 for a reason of its own"
    MOVED = "301"


@dataclass
class GitHubPerson:
    """Somebody on GitHub.

    Attributes:
        id: What never changes.
        login: What may be renamed.
        teams: Names of teams of the organisation.
        other_teams: Number of teams in other organisations, listed before the others.
        membership: State in the organisation: active, pending or none.
        team_owner: The organisation of the teams; empty means the one of the stand-in.
        parents: Team -> the team that it is a child of.
    """

    id: int
    login: str
    teams: list[str] = field(default_factory=list)
    other_teams: int = 0
    membership: str = "active"
    team_owner: str = ""
    parents: dict[str, str] = field(default_factory=dict)


class StandInGitHub:
    """GitHub with one organisation, on a free port of 127.0.0.1.

    Attributes:
        organization: Its login.
        signed_in: Login of whoever sits at the browser; None presses Cancel.
        app_approved: Whether the organisation has approved the OAuth app.
        sso_required: Whether the organisation demands single sign-on.
        secret: The client secret of the OAuth app.
        fail_from_page: Page from which on lists are answered with 500; 0 means none.
        requests: Method and path of each request so far.
        tokens: Token -> id of the person it was given to.
        codes_given: All codes so far.
    """

    def __init__(self, organization: str = "course-2026") -> None:
        self.organization = organization
        self.url = ""
        self.tokens: dict[str, int] = {}
        self.codes: dict[str, tuple[int, str]] = {}
        self.codes_given: list[str] = []
        self.reset()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def reset(self) -> None:
        """Forget people and faults; tokens and codes stay known."""
        self.people: dict[str, GitHubPerson] = {}
        self.signed_in: str | None = None
        self.app_approved = True
        self.sso_required = False
        self.fail_from_page = 0
        self.secret = CLIENT_SECRET
        self.requests: list[tuple[str, str]] = []
        self._faults: dict[str, Fault] = {}

    def __enter__(self) -> StandInGitHub:
        self._thread.start()
        assert self._ready.wait(10), "the stand-in did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the stand-in did not stop"

    def add(self, person: GitHubPerson) -> GitHubPerson:
        """Register somebody."""
        self.people[person.login] = person
        return person

    def rename(self, login: str, new_login: str) -> None:
        """Give somebody another login; the old one is free for others."""
        person = self.people.pop(login)
        person.login = new_login
        self.people[new_login] = person

    def fail(self, fault: Fault, path: str = "") -> None:
        """Answer with a fault: to all questions of the API, or to those for one path."""
        self._faults[path] = fault

    def recover(self) -> None:
        """Answer properly again."""
        self._faults.clear()

    def fault_of(self, path: str) -> Fault | None:
        """Return the fault that is on for a path of the API."""
        return self._faults.get(path, self._faults.get(""))

    def person_of(self, token: str) -> GitHubPerson | None:
        """Return whose token it is."""
        holder = self.tokens.get(token)
        return next((person for person in self.people.values() if person.id == holder), None)

    def teams_of(self, person: GitHubPerson) -> list[dict[str, Any]]:
        """Return somebody's teams as the API lists them."""
        others = [_team(f"team {n}", "elsewhere") for n in range(person.other_teams)]
        owner = person.team_owner or self.organization
        hidden = not self.app_approved or self.sso_required or person.membership != "active"
        if hidden and owner == self.organization:
            return others
        mine = []
        for name in person.teams:
            parent = person.parents.get(name)
            mine.append(_team(name, owner) | {"parent": _team(parent, owner) if parent else None})
        return others + mine

    async def stopped(self) -> None:
        """Wait until the stand-in stops."""
        await self._stop.wait()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        api = "(?:/api/v3)?"
        application = web.Application(
            [
                ("/login/oauth/authorize", _Authorize),
                ("/login/oauth/access_token", _AccessToken),
                (f"{api}/user", _User),
                (f"{api}/user/emails", _Emails),
                (f"{api}/user/teams", _Teams),
                (f"{api}/user/memberships/orgs/([^/]+)", _MembershipOf),
                (f"{api}/orgs/([^/]+)", _Organization),
            ],
            github=self,
            log_function=lambda handler: None,
        )
        sockets = bind_sockets(0, "127.0.0.1")
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        server = HTTPServer(application)
        server.add_sockets(sockets)
        self._ready.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()


def _team(name: str, organization: str) -> dict[str, Any]:
    slug = name.lower().replace(" ", "-")
    owner = {"login": organization, "id": len(organization)}
    return {"id": len(name), "name": name, "slug": slug, "organization": owner, "parent": None}


_CANNED: dict[Fault, tuple[int, str, dict[str, str]]] = {
    Fault.ERROR_500: (500, '{"message": "Server Error"}', {}),
    Fault.ERROR_502: (502, "<html><h1>Unicorn!</h1></html>", {}),
    Fault.RATE_LIMIT: (
        403,
        '{"message": "API limit exceeded"}',
        {"X-RateLimit-Remaining": "0"},  # and the end of the limit, ten minutes from the answer
    ),
    Fault.SECONDARY_LIMIT: (403, '{"message": "You exceeded a secondary rate limit."}', {}),
    Fault.TOO_MANY: (429, '{"message": "Too many"}', {"Retry-After": "42"}),
    Fault.GARBAGE: (200, "<html>It works!</html>", {}),
    Fault.WRONG_SHAPE: (200, '{"teams": "none", "id": "7", "state": 0, "login": null}', {}),
    Fault.FORBIDDEN: (403, '{"message": "Must have admin rights."}', {}),
    Fault.MOVED: (301, "", {"Location": "/api/v3/elsewhere"}),
}


class _Handler(web.RequestHandler):
    @property
    def github(self) -> StandInGitHub:
        return self.settings["github"]

    async def prepare(self) -> None:
        path = self.request.path.removeprefix("/api/v3")
        self.github.requests.append((str(self.request.method), path))
        fault = self.github.fault_of(path)
        if fault and path != "/login/oauth/authorize":
            await self._fail(fault)

    def json(self, data: Any, status: int = 200, **headers: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.set_header(name.replace("_", "-"), value)
        self.finish(json.dumps(data))

    async def _fail(self, fault: Fault) -> None:
        if fault in _CANNED:
            status, body, headers = _CANNED[fault]
            self.set_status(status)
            for name, value in headers.items():
                self.set_header(name, value)
            if fault is Fault.RATE_LIMIT:
                self.set_header("X-RateLimit-Reset", str(int(time.time()) + 600))
            self.finish(body)
            return
        stream = self.request.connection.stream  # type: ignore[union-attr]
        if fault is Fault.HANG:
            await self.github.stopped()
        elif fault is Fault.SLOW:
            await self._drip()
        elif fault is Fault.RESET:
            # with a linger time of 0 closing sends RST in place of FIN
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault is Fault.NOT_HTTP:
            await stream.write(b"\x00\xffSSH-2.0-OpenSSH_9.2\r\n\r\n")
        stream.close()
        self._finished = True  # nothing can be answered any more

    async def _drip(self) -> None:
        self.set_header("Content-Length", "100000")
        stopped = asyncio.create_task(self.github.stopped())
        while not stopped.done() and not self.request.connection.stream.closed():
            self.write(b" ")
            await self.flush()
            await asyncio.sleep(0.1)


class _Api(_Handler):
    """Questions that need a person's token."""

    person: GitHubPerson

    async def prepare(self) -> None:
        self.set_header("X-RateLimit-Limit", "5000")
        self.set_header("X-RateLimit-Remaining", "4321")
        await super().prepare()
        if self._finished:
            return
        token = self.request.headers.get("Authorization", "").removeprefix("Bearer ")
        person = self.github.person_of(token)
        if person is None:
            self.json({"message": "Bad credentials"}, 401)
        else:
            self.person = person

    def restricted(self, organization: str) -> bool:
        """Refuse what an organisation that has not approved the app keeps to itself."""
        if organization.lower() != self.github.organization:
            return False
        if self.github.sso_required:
            url = f"{self.github.url}/orgs/{organization}/sso"
            words = "Resource protected by organization SAML enforcement."
            self.json({"message": words}, 403, X_GitHub_SSO=f"required; url={url}")
            return True
        if not self.github.app_approved:
            words = f"the `{organization}` organization has enabled OAuth App access restrictions"
            self.json(
                {"message": f"Although you appear to have the right credentials, {words}"}, 403
            )
            return True
        return False


class _Authorize(_Handler):
    def get(self) -> None:
        back = {"state": self.get_argument("state")}
        person = self.github.people.get(self.github.signed_in or "")
        if self.get_argument("client_id") != CLIENT_ID:
            raise web.HTTPError(404)
        assert self.get_argument("scope") == "read:org"
        if person is None:
            back |= {"error": "access_denied", "error_description": "The user has denied access."}
        else:
            assert self.get_argument("code_challenge_method") == "S256"
            code = secrets.token_hex(10)
            self.github.codes_given.append(code)
            self.github.codes[code] = (person.id, self.get_argument("code_challenge"))
            back["code"] = code
        self.redirect(f"{self.get_argument('redirect_uri')}?{urlencode(back)}")


class _AccessToken(_Handler):
    def post(self) -> None:
        secret = self.get_body_argument("client_secret")
        if self.get_body_argument("client_id") != CLIENT_ID or secret != self.github.secret:
            self.json(_oauth_error("incorrect_client_credentials"))
            return
        verifier = self.get_body_argument("code_verifier").encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).decode().rstrip("=")
        person_id, challenge = self.github.codes.pop(self.get_body_argument("code"), (0, ""))
        if challenge != digest:
            self.json(_oauth_error("bad_verification_code"))
            return
        token = f"gho_{secrets.token_hex(18)}"
        self.github.tokens[token] = person_id
        self.json({"access_token": token, "token_type": "bearer", "scope": "read:org"})


def _oauth_error(name: str) -> dict[str, str]:
    return {"error": name, "error_description": f"words about {name}"}


class _User(_Api):
    def get(self) -> None:
        self.json({"id": self.person.id, "login": self.person.login, "email": None})


class _Emails(_Api):
    def get(self) -> None:
        address = f"{self.person.login}@example.org"
        self.json([{"email": address, "primary": True, "verified": True}])


class _Teams(_Api):
    def get(self) -> None:
        teams = self.github.teams_of(self.person)
        size = min(int(self.get_argument("per_page", "30")), 100)
        page = int(self.get_argument("page", "1"))
        if 0 < self.github.fail_from_page <= page:
            raise web.HTTPError(500)
        last = max(math.ceil(len(teams) / size), 1)
        base = f"{self.github.url}{self.request.path}?per_page={size}&page="
        links = [f'<{base}{last}>; rel="last"']
        if page < last:
            links.insert(0, f'<{base}{page + 1}>; rel="next"')
        headers = {"Link": ", ".join(links)} if last > 1 else {}
        self.json(teams[(page - 1) * size : page * size], **headers)


class _MembershipOf(_Api):
    def get(self, organization: str) -> None:
        if self.restricted(organization):
            return
        if organization.lower() != self.github.organization or self.person.membership == "none":
            self.json({"message": "Not Found"}, 404)
        else:
            owner = {"login": self.github.organization}
            self.json({"state": self.person.membership, "role": "member", "organization": owner})


class _Organization(_Api):
    def get(self, organization: str) -> None:
        if self.restricted(organization):
            return
        if organization.lower() != self.github.organization:
            self.json({"message": "Not Found"}, 404)
        else:
            self.json({"login": self.github.organization, "id": len(organization)})
