"""What every way to sign in shares: the settings, and the claim of a name for an identity.

A sign-in ends in an identity, the immutable id by which the provider knows a person. It claims a
name through `hub_config.people`, and from then on that name, its home and its uid are theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Bool, Instance, Integer, Unicode

from authenticator.explanation import Explanation, SignInError
from authenticator.groups import all_groups, is_admin
from hub_config.people import NameTaken, People, Person
from hub_config.settings import Settings, Start


class IdentityAuthenticator(Authenticator):
    """An authenticator that binds names to identities and manages the groups."""

    settings = Instance(Settings, args=(), config=True, help="All of hub.toml.")
    people_file = Unicode(config=True, help="The map of identities, data/people.sqlite.")
    first_uid = Integer(Start().first_uid, config=True, help="User id of the first person.")

    # other defaults than JupyterHub's
    manage_groups = Bool(True, config=True)
    enable_auth_state = Bool(True, config=True)
    any_allow_config = Bool(True, help="check_allowed decides; there is nothing to warn about.")

    def claim(self, identity: str, name: str) -> Person:
        """Return the person of an identity; the name counts on the first sign-in only.

        Raises:
            SignInError: 403, another identity holds the name.
        """
        if not self.people_file:
            raise RuntimeError(f"{type(self).__name__}.people_file is not set")
        people = People(Path(self.people_file), self.first_uid)
        try:
            return people.claim(identity, self.normalize_username(name))
        except NameTaken as error:
            explanation = Explanation(
                title="This name belongs to somebody else",
                cause=str(error),
                next_step=f"Ask {self.settings.hub.contact}, and tell them your user name.",
            )
            log = f"refused {identity}: the name {error.name!r} is held by another identity"
            raise SignInError(403, explanation, log) from error

    def auth_model(
        self, person: Person, groups: Iterable[str], auth_state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what JupyterHub wants to know of somebody who signed in."""
        groups = sorted(groups)
        return {
            "name": person.name,
            "admin": is_admin(groups, self.settings.groups),
            "groups": groups,
            "auth_state": {"identity": person.identity, **auth_state},
        }

    @staticmethod
    def sign_in_again(handler: web.RequestHandler | None) -> Literal[False]:
        """Return what `refresh_user` answers when a person has to sign in again.

        JupyterHub 6.1.1 then reads an attribute of its handler that it sets for API tokens only;
        on a page, where it is missing, the hub would fail instead of showing the login page.
        """
        if handler is not None:
            vars(handler).setdefault("_token_authenticated", False)
        return False

    def check_allowed(self, username: str, authentication: Mapping[str, Any] | None = None) -> bool:
        """Tell whether a sign-in brought a group of this hub; the hub calls it at each sign-in."""
        groups = (authentication or {}).get("groups") or ()
        return bool(all_groups(self.settings.groups).intersection(groups))
