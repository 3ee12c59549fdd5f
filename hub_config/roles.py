"""Groups -> what their members may do, as JupyterHub roles. Pure.

Students have JupyterHub's own role `user`: themselves and their server. Admins have its role
`admin`, which follows from the admin flag that a sign-in sets. Only the TAs need a role of ours.

There are no groups to load: the authenticator manages them, so JupyterHub refuses `load_groups`. A
group that a role or a scope names is made when it is needed.
"""

from __future__ import annotations

from typing import Any

from hub_config.settings import Settings

TA_ROLE = "labhub-ta"

_TA_SCOPES = (
    "list:users",
    "read:users",
    "read:servers",
    "servers",
    "access:servers",
)
"""What a TA may do with the students, and with nobody else. To read a server's state, an admin's
scope, is not among it: it may hold secrets."""


def load_roles(settings: Settings) -> list[dict[str, Any]]:
    """Return the roles that JupyterHub loads at its start (`JupyterHub.load_roles`)."""
    students = settings.groups.students
    return [
        {
            "name": TA_ROLE,
            "description": f"See, start, stop and open the servers of the group {students}",
            "groups": [settings.groups.tas],
            "scopes": ["admin-ui", *(f"{scope}!group={students}" for scope in _TA_SCOPES)],
        }
    ]
