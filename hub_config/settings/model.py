"""All sections together, and the defaults that depend on another section."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from .base import Section, table, wrong
from .checks import conflicts
from .hub import Build, Engine, Hub, Openbis, Registry
from .login import Groups, Login
from .servers import ADMIN_GID, LOCAL_IMAGE, Hooks, Limits, Profile, Standby, Start
from .storage import AnyShare, Home


def _one_at_least(profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
    if not profiles:
        raise wrong(
            "must have one entry at least", "Remove it for the default, or add [[profile]]."
        )
    return profiles


def _default_profiles() -> Any:
    return [
        {
            "name": "notebook",
            "title": "Notebook",
            "description": "JupyterLab with Python 3.",
            "image": LOCAL_IMAGE,
        }
    ]


def _default_shares(settings: dict[str, Any]) -> Any:
    """Return the admins' folder; it follows the names of the groups and the admins' gid."""
    groups, hooks = settings.get("groups"), settings.get("hooks")
    return [
        {
            "name": "admin",
            "folder": "data/admin",
            "target": "/home/admin",
            "read_write": [groups.admins if groups else "admins"],
            "gid": hooks.admin_gid if hooks else ADMIN_GID,
        }
    ]


class Settings(Section):
    """All of `hub.toml`.

    The validation's context may hold `root`, the folder that relative paths lie below, and
    `checks_later`, which leaves `conflicts()` to the caller.
    """

    hub: Hub = table("The hub's address and state.")
    login: Login = table(
        "How people sign in. Without any way configured, the hub is in demo mode: three generated "
        "logins, on this machine only."
    )
    groups: Groups = table("Names of the three groups that labhub knows.")
    engine: Engine = table("The Docker Engine that runs the servers.")
    registry: Registry = table("A private registry for the images. Public ones need no entry.")
    profile: Annotated[tuple[Profile, ...], AfterValidator(_one_at_least)] = Field(
        default_factory=_default_profiles,
        description="What a user may choose. With one profile nobody is asked.",
    )
    limits: Limits = table("Limits of every server; a profile may set its own cpu and memory.")
    home: Home = table("Where homes lie, one for each person.")
    hooks: Hooks = table("The operators' start scripts, run in every server before it answers.")
    share: tuple[AnyShare, ...] = Field(
        default_factory=_default_shares,
        description="Directories for many. Who sets any replaces the default one, the admins' "
        "folder; share = [] means none.",
    )
    start: Start = table("How a server is started.")
    standby: Standby = table(
        "Servers that wait for an owner, so that a start takes a moment; how many, is set in each "
        "profile. Only where the hub runs as root beside the engine and homes are directories of "
        "this host; elsewhere every start is a cold one."
    )
    build: Build = table("How `labhub images build` makes images.")
    openbis: Openbis = table("The openBIS beside the hub; servers find its address as OPENBIS_URL.")

    @property
    def is_demo(self) -> bool:
        """Tell whether the three generated logins are the way in."""
        return self.login.github is None

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Settings:
        if not (info.context or {}).get("checks_later"):
            found = [f"{finding.name}: {finding.message}" for finding in conflicts(self)]
            if found:
                raise ValueError("\n".join(found))
        return self
