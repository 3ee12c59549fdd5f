"""Sign-in of the demo mode: three generated logins, for this machine only.

The logins lie in `data/demo-logins.json` (0600) and are made on the first start. Their passwords
are long and random, so nobody guesses one at any rate of tries. The back-off is there against load
and noise, and it slows wrong passwords only: whoever floods the form locks nobody out.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tornado import web
from traitlets import Unicode

from authenticator.backoff import Backoff
from authenticator.base import IdentityAuthenticator
from authenticator.explanation import Explanation, SignInError

Role = Literal["admin", "ta", "student"]
ROLES: tuple[Role, ...] = ("admin", "ta", "student")
SHORTEST_PASSWORD = 16
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters and digits that look alike."""


class DemoLoginsError(Exception):
    """The file of the demo logins cannot be used; str() says why and what to do."""


@dataclass(frozen=True)
class DemoLogin:
    """Name and password of one demo login."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"DemoLogin(username={self.username!r}, password='***')"


def demo_logins(path: Path) -> dict[Role, DemoLogin]:
    """Return the demo logins by role, made on the first call.

    Args:
        path: The file; made with mode 0600, complete or not at all.

    Raises:
        DemoLoginsError: others can read the file, or what stands in it cannot be used.
    """
    if not path.exists():
        _make(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise DemoLoginsError(
            f"{path} can be read by others, so its passwords are no secret. "
            "Remove it; the next start makes new ones."
        )
    try:
        found = json.loads(path.read_text())
        logins = {role: DemoLogin(**found[role]) for role in ROLES}
        usable = all(_usable(login) for login in logins.values())
    except (ValueError, KeyError, TypeError):
        usable = False
    if not usable or len({login.username for login in logins.values()}) < len(ROLES):
        raise DemoLoginsError(
            f"{path} does not hold the logins {', '.join(ROLES)}, each with a username of its own, "
            f"in lower case, and a password of at least {SHORTEST_PASSWORD} characters. "
            "Mend or remove it; when it is missing, the next start makes a new one."
        )
    return logins


def _usable(login: DemoLogin) -> bool:
    """Tell whether a login read from the file can sign in and is not to be guessed."""
    return (
        isinstance(login.username, str)
        and isinstance(login.password, str)
        and login.username == login.username.strip().lower() != ""
        and len(login.password) >= SHORTEST_PASSWORD
    )


def _make(path: Path) -> None:
    """Write new logins; when another process was first, its logins count."""
    logins = {role: asdict(DemoLogin(role, _new_password())) for role in ROLES}
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(logins, indent=2) + "\n")
        path.hardlink_to(draft)  # unlike a rename, fails when the file is there
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def _new_password() -> str:
    """Return four groups of five characters, 99 bits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


class WrongLogin(Exception):
    """User name or password is wrong.

    Attributes:
        wait_s: Seconds before the next try is looked at; 0 when at once.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"wrong user name or password, wait {wait_s} s")
        self.wait_s = wait_s


class DemoDoor:
    """Knows the demo logins and slows down wrong passwords.

    Args:
        logins: The logins by role.
        accounts: Failures by user name; only names that exist are counted.
        sources: Failures by network address.
    """

    def __init__(
        self, logins: Mapping[Role, DemoLogin], accounts: Backoff, sources: Backoff
    ) -> None:
        self._logins = logins
        self._accounts = accounts
        self._sources = sources

    def role_of(self, username: str, password: str) -> Role | None:
        """Return the role of a login, or None; takes equally long for all of the same length."""
        role: Role | None = None
        for candidate, login in self._logins.items():
            right_name = _equal(login.username, username)
            right_password = _equal(login.password, password)
            if right_name & right_password:
                role = candidate
        return role

    def enter(self, username: str, password: str, source: str) -> Role:
        """Return the role of a right login, whatever wrong ones came before it.

        Args:
            username: Normalised user name.
            password: What was typed.
            source: Network address of the browser.

        Raises:
            WrongLogin: the name or the password is wrong.
        """
        role = self.role_of(username, password)
        if role is not None:
            self._accounts.succeeded(username)
            return role
        wait_s = max(self._accounts.wait_s(username), self._sources.wait_s(source))
        if wait_s == 0:  # a try that has to wait is not counted, so a wait always ends
            self._sources.failed(source)
            if any(login.username == username for login in self._logins.values()):
                self._accounts.failed(username)
        raise WrongLogin(wait_s)


def _equal(expected: str, given: str) -> bool:
    return secrets.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


class DemoAuthenticator(IdentityAuthenticator):
    """Signs in the admin, the TA and the student of the demo mode."""

    logins_file = Unicode(config=True, help="The demo logins, data/demo-logins.json.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._door = DemoDoor(
            demo_logins(Path(self.logins_file)), accounts=Backoff(free=5), sources=Backoff(free=20)
        )

    async def authenticate(
        self, handler: web.RequestHandler, data: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return who signs in; the hub calls this when the login form is sent.

        Raises:
            SignInError: 400 for a form without its fields, 429 while wrong passwords have to wait.
        """
        if not {"username", "password"} <= data.keys():
            raise SignInError(400, _INCOMPLETE, "login form without username or password")
        username = self.normalize_username(data["username"])
        source = str(handler.request.remote_ip)
        try:
            role = self._door.enter(username, data["password"], source)
        except WrongLogin as error:
            if error.wait_s == 0:
                return None  # the login page says that name or password is wrong
            log = f"wrong passwords from {source}: told to wait {error.wait_s} s"
            raise SignInError(429, _too_many(error.wait_s), log, error.wait_s) from None
        person = self.claim(f"demo:{username}", username)
        names = self.settings.groups
        group = {"admin": names.admins, "ta": names.tas, "student": names.students}[role]
        return self.auth_model(person, [group], {})


_INCOMPLETE = Explanation(
    title="The form came without a user name or password",
    cause="Both are needed to sign in.",
    next_step="Fill in both fields and try again.",
)


def _too_many(wait_s: int) -> Explanation:
    seconds = "1 second" if wait_s == 1 else f"{wait_s} seconds"
    return Explanation(
        title="Too many wrong passwords",
        cause="To keep out those who guess, wrong passwords have to wait a little.",
        next_step=f"Wait {seconds}, then try again.",
    )
