"""GitHub teams -> the groups of the hub. Pure.

A team is named in the settings by its slug (as in its address) or by its name (as GitHub shows it).
Letter case does not count, but only for a to z: with Unicode's rules `admin\u017f`, a team that any
member of an organisation may make, would equal `admins`.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass

from hub_config.settings import GitHubTeams, Groups

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class Team:
    """One team of an organisation that a person is in.

    Attributes:
        organization: Login of the organisation.
        slug: The team's part of its address.
        name: What GitHub shows.
    """

    organization: str
    slug: str
    name: str


def lower(text: str) -> str:
    """Return the text with A to Z in lower case and everything else as it is."""
    return text.translate(_LOWER)


def groups_of(
    teams: Iterable[Team], organization: str, lists: GitHubTeams, groups: Groups
) -> frozenset[str]:
    """Return the groups that a person's teams put them in.

    They may be several, but an admin is never among the students: TAs may open the servers of the
    students, and an admin's server reaches what the operators run as root.

    Args:
        teams: All teams of the person, of any organisation.
        organization: The organisation whose teams count.
        lists: Which teams become which group; a team may stand in several lists.
        groups: The names of the groups.
    """
    mine = {
        lower(known)
        for team in teams
        if lower(team.organization) == lower(organization)
        for known in (team.slug, team.name)
    }
    becomes = (
        (groups.students, lists.students),
        (groups.tas, lists.tas),
        (groups.admins, lists.admins),
    )
    found = {group for group, listed in becomes if mine & {lower(name) for name in listed}}
    if groups.admins in found:
        found.discard(groups.students)
    return frozenset(found)


def is_admin(member_of: Iterable[str], groups: Groups) -> bool:
    """Tell whether a member of these groups is an admin of the hub."""
    return groups.admins in member_of


def all_groups(groups: Groups) -> frozenset[str]:
    """Return the groups that let a person in."""
    return frozenset({groups.students, groups.tas, groups.admins})
