"""What the hub hands to the start chain of a server: its environment and its mounts. Pure.

The other side of this contract is startup_scripts/README.md.
"""

from __future__ import annotations

from pathlib import Path

from docker.types import Mount

from hub_config.people import Person
from hub_config.settings import Hooks
from spawner.channels import Chain
from spawner.naming import home_path

STARTUP_SCRIPTS = Path(__file__).parent.parent / "startup_scripts"


def chain_environment(
    hooks: Hooks, person: Person, umask: str, groups: dict[str, int], sudo: bool
) -> dict[str, str]:
    """Return the variables that the start chain reads.

    Args:
        hooks: `[hooks]` of the settings.
        person: The owner.
        umask: Octal, such as 0022.
        groups: Name and gid of the Unix groups that the person gets in addition.
        sudo: Whether the profile grants sudo.
    """
    return {
        "NB_USER": person.slug,
        "NB_UID": str(person.uid),
        "NB_GID": str(person.gid),
        "NB_UMASK": umask,
        "HOME": home_path(person),
        "LABHUB_HOOK_FOLDER": "/run/labhub/hooks",
        "LABHUB_LOG_FOLDER": "/run/labhub/logs",
        "LABHUB_HOOK_AS_ROOT": hooks.as_root,
        "LABHUB_HOOK_AS_USER": hooks.as_user,
        "LABHUB_HOOK_TIME_LIMIT_S": str(hooks.time_limit_s),
        "LABHUB_HOOK_OUTPUT_LIMIT_KIB": str(hooks.output_limit_kib),
        "LABHUB_ADMIN_UID": str(hooks.admin_uid),
        "LABHUB_ADMIN_GID": str(hooks.admin_gid),
        "LABHUB_EXTRA_GROUPS": ",".join(f"{name}:{gid}" for name, gid in groups.items()),
        **({"GRANT_SUDO": "yes"} if sudo else {}),
    }


def runtime_mounts(runtime: str, chain: Chain) -> list[Mount]:
    """Return the mounts that every container of a chain gets when it is made.

    Args:
        runtime: Its runtime directory.
        chain: The image's start chain; docker-stacks' gets our hooks as a drop-in.
    """
    if chain == "none":
        return []
    mounts = [Mount("/run/labhub", runtime, type="bind")]
    if chain == "docker-stacks":
        drop_in = "before-notebook.d/50-operator-hooks.sh"
        for target, source in (
            ("/opt/labhub/startup_scripts", STARTUP_SCRIPTS),
            (f"/usr/local/bin/{drop_in}", STARTUP_SCRIPTS / drop_in),
        ):
            mounts.append(Mount(target, str(source), type="bind", read_only=True))
    return mounts


def hook_mounts(hooks: Hooks, chain: Chain) -> list[Mount]:
    """Return the mount of the operators' hooks, if they have any: the folder as it is now."""
    if chain == "none" or not hooks.folder.is_dir():
        return []
    return [Mount("/run/labhub/hooks", str(hooks.folder), type="bind", read_only=True)]
