"""Sign-in with GitHub: the teams of one organisation become the groups of the hub.

On top of oauthenticator's handling of OAuth this module says who is let in, in which groups, and
under which name: the person behind GitHub's numeric id, whatever their login is today. An outage of
GitHub keeps nobody out who is in: on refresh, no answer means that the last answer holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, NoReturn

from jupyterhub.user import User
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler
from tornado import web
from tornado.httpclient import AsyncHTTPClient

from authenticator import github_pages
from authenticator.base import IdentityAuthenticator
from authenticator.explanation import SignInError
from authenticator.github_api import (
    Account,
    GitHubApi,
    GitHubError,
    GitHubUnavailable,
    Membership,
    TokenRefused,
)
from authenticator.groups import groups_of
from hub_config.settings import GitHubLogin

SIGN_IN_DEADLINE_S = 30.0
"""For all questions of one sign-in together; each has its own deadline besides."""

CONNECTIONS = 32
LARGEST_ANSWER = 8 * 1024 * 1024

_MENDED_BY_ADMINS = frozenset({"redirect_uri_mismatch", "application_suspended"})
_MENDED_BY_TRYING_AGAIN = frozenset({"bad_verification_code", "unverified_user_email"})


class NotInATeam(Exception):
    """GitHub names no team that gives this person a group.

    Attributes:
        account: Who it is.
        membership: How they stand to the organisation.
    """

    def __init__(self, account: Account, membership: Membership) -> None:
        super().__init__(
            f"github:{account.id} ({account.login}): in none of the teams; "
            f"as to the organisation: {membership.value}"
        )
        self.account = account
        self.membership = membership

    @property
    def is_definite(self) -> bool:
        """Tell whether GitHub really says no, or only keeps its teams from this hub."""
        return self.membership in (Membership.ACTIVE, Membership.PENDING, Membership.NONE)


async def _within_deadline(model: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """Wait for all the questions of one sign-in.

    Raises:
        GitHubUnavailable: they take too long.
    """
    try:
        async with asyncio.timeout(SIGN_IN_DEADLINE_S):
            return await model
    except TimeoutError as error:
        raise GitHubUnavailable(f"no answer within {SIGN_IN_DEADLINE_S:.0f} s") from error


class CallbackHandler(OAuthCallbackHandler):
    """The address to which GitHub sends people back."""

    def check_arguments(self) -> None:
        """Refuse, in words, what is not the end of a sign-in that began in this browser."""
        error = self.get_argument("error", "")
        if error == "access_denied":
            raise SignInError(403, github_pages.cancelled(), "sign-in cancelled on GitHub's page")
        if error in _MENDED_BY_ADMINS:
            self.authenticator.refuse_setup(error)
        try:
            super().check_arguments()
        except web.HTTPError as problem:
            log = f"sign-in interrupted: {str(problem.get_message())[:300]!r}"
            raise SignInError(400, github_pages.interrupted(), log) from problem

    def _request_summary(self) -> str:
        """Name the request in the log, without the code and state in its address."""
        return f"{self.request.method} {self.request.path} ({self.request.remote_ip})"


class GitHubAuthenticator(IdentityAuthenticator, GitHubOAuthenticator):
    """Signs in the members of the teams that the settings name."""

    callback_handler = CallbackHandler

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        github = self.github
        self.client_id = github.client_id
        self.client_secret = github.client_secret.get_secret_value()
        self.github_url = github.url
        if github.api_url:  # else oauthenticator derives it from github_url
            self.github_api: str = github.api_url.rstrip("/")
        self.oauth_callback_url = f"{self.settings.hub.url}hub/oauth_callback"
        self.scope = ["read:org"]
        self.login_service = "GitHub"
        client = AsyncHTTPClient(
            force_instance=True, max_clients=CONNECTIONS, max_body_size=LARGEST_ANSWER
        )
        self.api = GitHubApi(client, self.github_url, self.github_api)

    @property
    def github(self) -> GitHubLogin:
        """Return the settings of this sign-in."""
        if self.settings.login.github is None:
            raise RuntimeError("sign-in with GitHub is chosen, but [login.github] is not set")
        return self.settings.login.github

    async def authenticate(
        self, handler: web.RequestHandler, data: Any = None, **_: Any
    ) -> dict[str, Any]:
        """Return who signs in; the hub calls this when GitHub has sent a browser back.

        Raises:
            SignInError: they are not let in, or GitHub cannot say who they are.
        """
        parameters = self.build_access_tokens_request_params(handler, data)
        parameters.pop("data", None)
        try:
            return await _within_deadline(self._sign_in(parameters))
        except NotInATeam as error:
            raise self._refusal(error) from error
        except GitHubError as error:
            retry_after_s = error.retry_after_s if isinstance(error, GitHubUnavailable) else None
            raise SignInError(
                503,
                github_pages.unavailable(self.github, retry_after_s),
                f"sign-in failed, GitHub gave no usable answer: {error}",
                retry_after_s or 60,
            ) from error

    async def refresh_user(
        self, user: User, handler: web.RequestHandler | None = None, **_: Any
    ) -> bool | dict[str, Any]:
        """Ask GitHub again about somebody who is signed in; the hub calls it every few minutes.

        Returns:
            What is known now; True when GitHub gives no answer, so that the last one holds; False
            when the person has to sign in again, or is in no team any more.
        """
        return await self._ask_again(user) or self.sign_in_again(handler)

    async def _ask_again(self, user: User) -> bool | dict[str, Any]:
        auth_state = await user.get_auth_state() or {}
        token = auth_state.get("access_token")
        if not token:
            return False
        try:
            model = await _within_deadline(self._fetch_person(token))
        except GitHubUnavailable as error:
            self.log.warning("GitHub gave no answer about %s, who stays in: %s", user.name, error)
            return True
        except NotInATeam as error:
            stays = not error.is_definite
            outcome = "stays in" if stays else "is let in no more"
            self.log.warning("%s %s: %s", user.name, outcome, error)
            return stays
        except (TokenRefused, SignInError) as error:
            self.log.warning("%s has to sign in again: %s", user.name, error)
            return False
        return model if model["name"] == user.name else False

    async def _sign_in(self, parameters: dict[str, str]) -> dict[str, Any]:
        """Return the hub's model of the person whom GitHub gave the code for."""
        answer = await self.api.exchange_code(parameters)
        error = answer.get("error")
        if error in _MENDED_BY_TRYING_AGAIN:
            log = f"sign-in interrupted: GitHub answered {error}"
            raise SignInError(400, github_pages.interrupted(), log)
        if error:
            self.refuse_setup(f"{error}: {answer.get('error_description', '')}")
        return await self._fetch_person(str(answer["access_token"]))

    async def _fetch_person(self, token: str) -> dict[str, Any]:
        """Return the hub's model of the person who owns a token.

        Raises:
            NotInATeam: their teams give them no group.
            SignInError: 403, their name belongs to somebody else.
            GitHubError: it is not known.
        """
        github = self.github
        account = await self.api.fetch_account(token)
        teams = await self.api.fetch_teams(token)
        groups = groups_of(teams, github.organization, github.teams, self.settings.groups)
        if not groups:
            membership = await self.api.fetch_membership(token, github.organization)
            raise NotInATeam(account, membership)
        person = self.claim(f"github:{account.id}", account.login)
        return self.auth_model(person, groups, {"login": account.login, "access_token": token})

    def _refusal(self, error: NotInATeam) -> SignInError:
        """Return the page for somebody whose teams give them no group."""
        github, contact = self.github, self.settings.hub.contact
        log = f"refused {error}"
        if error.membership is Membership.APP_NOT_APPROVED:
            explanation = github_pages.app_not_approved(github, contact)
            log += f"; an owner of the organisation does so at {github_pages.policy_url(github)}"
        elif error.membership is Membership.SINGLE_SIGN_ON:
            explanation = github_pages.single_sign_on(github)
        else:
            explanation = github_pages.not_in_a_team(
                error.membership, error.account.login, github, contact
            )
        return SignInError(403, explanation, log)

    def refuse_setup(self, reason: str) -> NoReturn:
        """Raise the error for an OAuth app that GitHub does not accept."""
        explanation = github_pages.not_set_up(self.settings.hub.contact)
        log = f"GitHub does not accept the OAuth app, see [login.github]: {reason[:300]!r}"
        raise SignInError(503, explanation, log)
