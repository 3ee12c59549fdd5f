"""What several keys decide together: pure checks on settings whose single values are all right.

Each check yields findings. A finding names the key that the operator changes first and every other
key that it looked at, so that a value already known to be wrong raises no second complaint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .base import is_loopback
from .exposure import exposures
from .findings import Finding, Key, key_name

if TYPE_CHECKING:
    from .model import Settings

_MANY_PEOPLE = 10_000
_GROUP_OF_PROGRAMS = 100


def conflicts(settings: Settings) -> Iterator[Finding]:
    """Find all values that do not go together."""
    for check in (
        _ports,
        _certificate,
        _demo,
        _plain_http,
        _github_teams,
        _group_names,
        _known_groups,
        _unique_names,
        _registry,
        exposures,
        _times,
        _ids,
        _trusted_group,
        _group_of_programs,
    ):
        yield from check(settings)


def _ports(settings: Settings) -> Iterator[Finding]:
    ports: dict[int, Key] = {}
    wanted: list[tuple[Key, int]] = [
        (("hub", "port"), settings.hub.port),
        (("hub", "hub_port"), settings.hub.hub_port),
        (("hub", "proxy_api_port"), settings.hub.proxy_api_port),
    ]
    if settings.openbis.url:
        wanted.append((("openbis", "eln_service_port"), settings.openbis.eln_service_port))
    for key, port in wanted:
        if other := ports.get(port):
            yield Finding(
                key,
                f"is {port}, and so is {key_name(other)}",
                "Give each its own port.",
                (other,),
            )
        ports.setdefault(port, key)


def _certificate(settings: Settings) -> Iterator[Finding]:
    keys: tuple[Key, Key] = (("hub", "certificate_crt"), ("hub", "certificate_key"))
    given = [settings.hub.certificate_crt, settings.hub.certificate_key]
    if given.count(None) == 1:
        missing = keys[given.index(None)]
        there = keys[1 - given.index(None)]
        yield Finding(
            missing,
            f"is missing, while {key_name(there)} is set",
            "Set both, or none of them.",
            (there,),
        )


def _demo(settings: Settings) -> Iterator[Finding]:
    if not settings.is_demo or settings.hub.is_loopback:
        return
    key = "public_url" if settings.hub.public_url else "bind"
    value = getattr(settings.hub, key)
    fix = 'Set [login.github], or keep to this machine: bind = "127.0.0.1"'
    yield Finding(
        ("hub", key),
        f'lets others reach the hub at "{value}" while it is in demo mode, whose three logins are '
        "for trying out on this machine",
        fix + (" and no public_url." if settings.hub.public_url else "."),
        (("login",), ("hub", "bind"), ("hub", "public_url")),
    )


def _plain_http(settings: Settings) -> Iterator[Finding]:
    """Keep a real sign-in, and the sessions after it, from being read on the way.

    A proxy with TLS may stand on another machine, so an https `public_url` is enough.
    """
    hub = settings.hub
    # one of the two alone is a finding of its own
    has_certificate = bool(hub.certificate_crt or hub.certificate_key)
    is_behind_tls = urlsplit(hub.public_url).scheme == "https"
    if settings.is_demo or is_loopback(hub.bind) or has_certificate or is_behind_tls:
        return
    # a wrong value in [login] makes no sign-in a real one, so [login] is not among the keys
    yield Finding(
        ("hub", "bind"),
        f'lets other machines reach the hub at "{hub.bind}" over plain HTTP, where sign-ins and '
        "sessions can be read and taken over",
        "Set certificate_crt and certificate_key. Or, behind a proxy with TLS, set "
        'bind = "127.0.0.1" and public_url = "https://hub.example.org"; if that proxy is another '
        "machine, public_url alone.",
        tuple(("hub", name) for name in ("public_url", "certificate_crt", "certificate_key")),
    )


def _github_teams(settings: Settings) -> Iterator[Finding]:
    github = settings.login.github
    if github is None:
        return
    key: Key = ("login", "github", "teams")
    lists = {name: getattr(github.teams, name) for name in ("students", "tas", "admins")}
    if not any(lists.values()):
        yield Finding(
            key,
            "names no team at all, so nobody could sign in",
            'Name one at least, such as students = ["participants"].',
        )
    prefix = f"{github.organization}/".lower()
    for name, teams in lists.items():
        for index, team in enumerate(teams):
            if team.lower().startswith(prefix):
                yield Finding(
                    (*key, name, index),
                    "names the organisation too",
                    f'Write only "{team[len(prefix) :]}".',
                    (("login", "github", "organization"),),
                )


def _group_names(settings: Settings) -> Iterator[Finding]:
    names = ("students", "tas", "admins")
    values = [getattr(settings.groups, name) for name in names]
    yield from _doubles(
        [(("groups", name), value) for name, value in zip(names, values, strict=True)],
        "Give each group its own name; otherwise one gets the rights of the other.",
    )


def _known_groups(settings: Settings) -> Iterator[Finding]:
    """Check the groups of profiles and shares; a misspelt one would be empty for ever."""
    known = settings.groups.names
    lists: list[tuple[Key, Sequence[str]]] = []
    for index, profile in enumerate(settings.profile):
        lists.append((("profile", index, "groups"), profile.groups))
    for index, share in enumerate(settings.share):
        lists.append((("share", index, "groups"), share.groups))
        lists.append((("share", index, "read_write"), share.read_write))
        for place, group in enumerate(share.read_write):
            if share.groups and group in known and group not in share.groups:
                yield Finding(
                    ("share", index, "read_write", place),
                    f'lets "{group}" write to a share that they do not see',
                    f'Add "{group}" to groups, or remove it here.',
                    (("share", index, "groups"), ("groups",)),
                )
    for key, groups in lists:
        for place, group in enumerate(groups):
            if group not in known:
                guesses = [
                    f'; did you mean "{near}"?' for near in get_close_matches(group, known, 1)
                ]
                yield Finding(
                    (*key, place),
                    "is not a group of this hub" + "".join(guesses),
                    f"The groups are {', '.join(known)}; their names are set in [groups].",
                    (("groups",),),
                )


def _doubles(values: Iterable[tuple[Key, str]], fix: str) -> Iterator[Finding]:
    """Yield a finding for each value that stood before."""
    first: dict[str, Key] = {}
    for key, value in values:
        if value in first:
            yield Finding(
                key, f'is "{value}", and so is {key_name(first[value])}', fix, (first[value],)
            )
        first.setdefault(value, key)


def _unique_names(settings: Settings) -> Iterator[Finding]:
    profiles = [(("profile", i, "name"), p.name) for i, p in enumerate(settings.profile)]
    shares = [(("share", i, "name"), s.name) for i, s in enumerate(settings.share)]
    targets = [(("share", i, "target"), s.target) for i, s in enumerate(settings.share)]
    yield from _doubles(profiles, "Give each profile its own name.")
    yield from _doubles(shares, "Give each share its own name.")
    yield from _doubles(targets, "Give each share its own place.")


def _registry(settings: Settings) -> Iterator[Finding]:
    registry = settings.registry
    given = {
        "host": bool(registry.host),
        "username": bool(registry.username),
        "password": registry.password is not None,
    }
    if (given["username"] or given["password"]) and not all(given.values()):
        for name in (name for name, there in given.items() if not there):
            yield Finding(
                ("registry", name),
                "is missing; a registry is signed in to with host, username and password",
                f"Set {name}{'_file' if name == 'password' else ''}, or remove [registry].",
                tuple(("registry", other) for other, there in given.items() if there),
            )


def _times(settings: Settings) -> Iterator[Finding]:
    start = settings.start
    if start.port_timeout_s > start.timeout_s:
        yield Finding(
            ("start", "port_timeout_s"),
            f"is longer than the whole start may take, {start.timeout_s} s",
            "Make it shorter, or start.timeout_s longer.",
            (("start", "timeout_s"),),
        )


def _ids(settings: Settings) -> Iterator[Finding]:
    """Keep the fixed ids apart from those that people get, one after the other."""
    first = settings.start.first_uid
    ids: list[tuple[Key, int | None]] = [
        (("hooks", "admin_uid"), settings.hooks.admin_uid),
        (("hooks", "admin_gid"), settings.hooks.admin_gid),
    ]
    for index, share in enumerate(settings.share):
        if share.gid != settings.hooks.admin_gid:
            ids.append((("share", index, "gid"), share.gid))
    for key, number in ids:
        if number is not None and first <= number < first + _MANY_PEOPLE:
            yield Finding(
                key,
                f"is {number}, which will be the id of a person: they begin at start.first_uid, "
                f"{first}",
                "Choose an id below, or set start.first_uid higher before the first sign-in.",
                (("start", "first_uid"),),
            )


def _group_of_programs(settings: Settings) -> Iterator[Finding]:
    """Keep people out of the group that may write to what root loads before they are there."""
    for index, share in enumerate(settings.share):
        if share.gid == _GROUP_OF_PROGRAMS:
            yield Finding(
                ("share", index, "gid"),
                f"is {share.gid}, the group that may write to the programs of docker-stacks images",
                "Give the share a group id of its own.",
            )


def _trusted_group(settings: Settings) -> Iterator[Finding]:
    """Keep the group whose files are run as hooks, as root, to the admins."""
    admins, gid = settings.groups.admins, settings.hooks.admin_gid
    for index, share in enumerate(settings.share):
        others = [group for group in share.read_write if group != admins]
        if share.gid == gid and others:
            yield Finding(
                ("share", index, "gid"),
                f"is {gid}, the group that is trusted with hooks (hooks.admin_gid), and "
                f"{' and '.join(others)} would get it",
                f'Give the share a group id of its own, or keep to read_write = ["{admins}"].',
                (("share", index, "read_write"), ("hooks", "admin_gid"), ("groups",)),
            )
