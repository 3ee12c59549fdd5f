"""What the hub asks of GitHub's REST API, with a deadline on every question.

The one thing this module takes care of: an answer is either definite, or it is no answer. What is
no answer (5xx, time-out, a broken connection, a rate limit, a body that makes no sense) is always
`GitHubUnavailable`, so that an outage is never taken for "you are not a member".

Errors:
    GitHubError
    ├── GitHubUnavailable    cannot answer now; nothing follows from it
    └── TokenRefused         the person's token is not, or no longer, valid
"""

from __future__ import annotations

import json
import time
from dataclasses import astuple, dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from requests.utils import parse_header_links
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from authenticator.groups import Team

REQUEST_DEADLINE_S = 10.0
PAGE_SIZE = 100
MOST_PAGES = 50
"""5000 teams; a list that goes on for longer is a loop."""


class GitHubError(Exception):
    """GitHub did not answer with what was asked for."""


class GitHubUnavailable(GitHubError):
    """GitHub cannot answer now; nothing follows from that about anybody's rights.

    Attributes:
        retry_after_s: When GitHub wants to be asked again, seconds, if it said so.
    """

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TokenRefused(GitHubError):
    """GitHub does not, or no longer, accept the token of a person."""


class Membership(Enum):
    """How a person stands to an organisation."""

    ACTIVE = "active"
    PENDING = "pending"
    NONE = "none"
    APP_NOT_APPROVED = "app not approved"
    SINGLE_SIGN_ON = "single sign-on required"


@dataclass(frozen=True)
class Account:
    """Who GitHub says that somebody is; the id never changes, the login may."""

    id: int
    login: str


@dataclass(frozen=True)
class Answer:
    """A definite answer.

    Attributes:
        status: 200, or 4xx but for those that mean "not now".
        data: The body, parsed.
        next_url: The next page of a list, or empty.
        sso: GitHub's demand for single sign-on, or empty.
    """

    status: int
    data: Any
    next_url: str = ""
    sso: str = ""

    @property
    def message(self) -> str:
        """Return GitHub's own words about an error, cut short."""
        return str(self.data.get("message", ""))[:300] if isinstance(self.data, dict) else ""


class GitHubApi:
    """The few questions that a sign-in asks.

    Args:
        client: HTTP client of its own, so that a slow GitHub holds up nobody but its sign-ins.
        web_url: Address for browsers and OAuth, without a trailing slash.
        api_url: Address of the REST API, without a trailing slash.
    """

    def __init__(self, client: AsyncHTTPClient, web_url: str, api_url: str) -> None:
        self._client = client
        self._web_url = web_url
        self._api_url = api_url

    async def exchange_code(self, parameters: dict[str, str]) -> dict[str, Any]:
        """Return what GitHub gives for the code of a sign-in: a token, or an error in words.

        Raises:
            GitHubUnavailable: no definite answer.
        """
        url = f"{self._web_url}/login/oauth/access_token"
        answer = await self._ask(HTTPRequest(url, method="POST", body=urlencode(parameters)))
        data = answer.data if isinstance(answer.data, dict) else {}
        if "error" in data or isinstance(data.get("access_token"), str):
            return data
        raise GitHubUnavailable(f"the token request was answered {answer.status}, with no token")

    async def fetch_account(self, token: str) -> Account:
        """Return whose token this is.

        Raises:
            TokenRefused: nobody's.
            GitHubUnavailable: no definite answer.
        """
        data = self._expect(await self._get("/user", token), "/user")
        try:
            account = Account(data["id"], data["login"])
        except (TypeError, KeyError):
            account = Account(0, "")
        if not (type(account.id) is int and account.id > 0 and type(account.login) is str):
            raise GitHubUnavailable("/user was answered without an id and a login")
        return account

    async def fetch_teams(self, token: str) -> list[Team]:
        """Return all teams of a person, each with the team that it is a child of.

        A member of a child team counts as a member of its parent for GitHub, too, though the list
        of teams names the child only.

        Raises:
            TokenRefused: the token is not valid.
            GitHubUnavailable: no definite answer, or a part of the list is missing.
        """
        teams: list[Team] = []
        url = f"/user/teams?per_page={PAGE_SIZE}"
        for _ in range(MOST_PAGES):
            answer = await self._get(url, token)
            teams += _read_teams(self._expect(answer, "/user/teams"))
            if not answer.next_url:
                return teams
            url = answer.next_url
        raise GitHubUnavailable(f"/user/teams has more than {MOST_PAGES} pages")

    async def fetch_membership(self, token: str, organization: str) -> Membership:
        """Return how a person stands to an organisation.

        Raises:
            TokenRefused: the token is not valid.
            GitHubUnavailable: no definite answer.
        """
        path = f"/user/memberships/orgs/{quote(organization, safe='')}"
        answer = await self._get(path, token)
        if answer.status == 404:
            return Membership.NONE
        if answer.status == 403 and answer.sso:
            return Membership.SINGLE_SIGN_ON
        if answer.status == 403 and "access restrictions" in answer.message:
            return Membership.APP_NOT_APPROVED
        data = self._expect(answer, path)
        state = data.get("state") if isinstance(data, dict) else None
        if state not in ("active", "pending"):
            raise GitHubUnavailable(f"{path} was answered without a state")
        return Membership(state)

    async def _get(self, path: str, token: str) -> Answer:
        """Ask the API with a person's token; the path may be the address of a next page."""
        url = path if path.startswith(("http:", "https:")) else self._api_url + path
        if urlsplit(url)[:2] != urlsplit(self._api_url)[:2]:
            raise GitHubUnavailable("the next page of a list lies on another server")
        headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        return await self._ask(HTTPRequest(url, headers=headers))

    async def _ask(self, request: HTTPRequest) -> Answer:
        request.headers.update({"Accept": "application/json", "User-Agent": "labhub"})
        request.connect_timeout = request.request_timeout = REQUEST_DEADLINE_S
        request.decompress_response = False  # small answers; one thing less that can be broken
        request.follow_redirects = False  # GitHub moves none of these; a token goes nowhere else
        path = urlsplit(request.url).path
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            reason = str(error) or type(error).__name__
            raise GitHubUnavailable(f"{path}: {reason}") from error
        return read_answer(response, path)

    @staticmethod
    def _expect(answer: Answer, path: str) -> Any:
        if answer.status == 200:
            return answer.data
        words = f"{path} was answered {answer.status}: {answer.message!r}"
        raise TokenRefused(words) if answer.status == 401 else GitHubUnavailable(words)


def read_answer(response: HTTPResponse, path: str) -> Answer:
    """Return a response as a definite answer.

    Raises:
        GitHubUnavailable: it is none.
    """
    status = response.code
    if status == 599 or status >= 500 or 300 <= status < 400:
        raise GitHubUnavailable(f"{path}: {status} {response.reason or response.error or ''}")
    try:
        data = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        if status != 404:
            raise GitHubUnavailable(f"{path}: {status} with a body that is not JSON") from error
        data = None
    links = parse_header_links(response.headers.get("Link", ""))
    next_url = next((link["url"] for link in links if link.get("rel") == "next"), "")
    answer = Answer(status, data, next_url, response.headers.get("X-GitHub-SSO", ""))
    if status == 429 or (status == 403 and _is_rate_limit(response, answer.message)):
        raise GitHubUnavailable(f"{path}: rate limit reached", _retry_after_s(response))
    return answer


def _is_rate_limit(response: HTTPResponse, message: str) -> bool:
    headers = response.headers
    return (
        headers.get("X-RateLimit-Remaining") == "0"
        or "Retry-After" in headers
        or "rate limit" in message.lower()
    )


def _retry_after_s(response: HTTPResponse) -> int | None:
    """Return when GitHub wants to be asked again, between a second and an hour."""
    after = response.headers.get("Retry-After", "")
    reset = response.headers.get("X-RateLimit-Reset", "")
    if after.isdecimal():
        seconds = int(after)
    elif reset.isdecimal():
        seconds = int(reset) - int(time.time())
    else:
        return None
    return min(max(seconds, 1), 3600)


def _read_teams(page: Any) -> list[Team]:
    """Return the teams of one page of the list, and their parents.

    Raises:
        GitHubUnavailable: it is not such a page.
    """
    teams = []
    try:
        if not isinstance(page, list):
            raise TypeError
        for entry in page:
            organization = entry["organization"]["login"]
            for team in (entry, entry.get("parent")):
                if team is not None:
                    teams.append(Team(organization, team["slug"], team["name"]))
        if not all(isinstance(text, str) for team in teams for text in astuple(team)):
            raise TypeError
    except (TypeError, KeyError, AttributeError) as error:
        raise GitHubUnavailable("/user/teams was answered with something else") from error
    return teams
