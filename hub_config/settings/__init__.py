"""What the operator decides: the model of `hub.toml`.

Every setting has its default, type, bounds and description here, once. `hub.example.toml` and
`docs/settings.md` are generated from this model. Nothing here does I/O; `hub_config.loading` reads
the file and the environment and turns what is wrong into words.

    base                            the frozen table, strict scalars, errors with a next step
    paths                           which folders may be mounted, and where
    hub, login, servers, storage    the sections
    checks, exposure                what several keys decide together
    model                           all sections together
    keys                            the model as a tree of keys
"""

from .base import Section
from .checks import conflicts
from .findings import Finding, Key, key_name
from .hub import Build, Engine, Hub, Openbis, Registry
from .login import GitHubLogin, GitHubTeams, Groups, Login
from .model import Settings
from .servers import ADMIN_GID, LOCAL_IMAGE, Hooks, Limits, Profile, Standby, Start
from .storage import (
    AnyShare,
    DirectoryHome,
    DirectoryShare,
    Home,
    NfsHome,
    NfsShare,
    Share,
    VolumeHome,
    VolumeShare,
)

__all__ = [
    "ADMIN_GID",
    "LOCAL_IMAGE",
    "AnyShare",
    "Build",
    "DirectoryHome",
    "DirectoryShare",
    "Engine",
    "Finding",
    "GitHubLogin",
    "GitHubTeams",
    "Groups",
    "Home",
    "Hooks",
    "Hub",
    "Key",
    "Limits",
    "Login",
    "NfsHome",
    "NfsShare",
    "Openbis",
    "Profile",
    "Registry",
    "Section",
    "Settings",
    "Share",
    "Standby",
    "Start",
    "VolumeHome",
    "VolumeShare",
    "conflicts",
    "key_name",
]
