"""Sign-in of a measured hub: any name, with the one password of the measurement."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from tornado import web
from traitlets import Unicode

from authenticator.demo import DemoAuthenticator


class BenchAuthenticator(DemoAuthenticator):
    """Lets anybody in as a student who knows the password, which lives as long as the hub."""

    password = Unicode(config=True, help="The password of all; long and random.")

    async def authenticate(
        self, handler: web.RequestHandler, data: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return who signs in; the hub calls this when the login form is sent."""
        given = data.get("password", "").encode()
        if not self.password or not secrets.compare_digest(self.password.encode(), given):
            return None
        name = self.normalize_username(data["username"])
        person = self.claim(f"bench:{name}", name)
        return self.auth_model(person, [self.settings.groups.students], {})
