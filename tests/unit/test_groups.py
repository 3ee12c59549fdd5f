"""GitHub teams -> groups, for every mix of teams and lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authenticator.groups import Team, groups_of, is_admin
from hub_config.settings import GitHubTeams, Groups

GROUPS = Groups()
LISTS = GitHubTeams()


def team(name: str, organization: str = "course", slug: str = "") -> Team:
    return Team(organization, slug or name.lower().replace(" ", "-"), name)


@pytest.mark.parametrize(
    ("teams", "lists", "expected"),
    [
        ([], LISTS, set()),
        ([team("participants")], LISTS, {"students"}),
        ([team("tas")], LISTS, {"tas"}),
        ([team("admins")], LISTS, {"admins"}),
        ([team("participants"), team("tas")], LISTS, {"students", "tas"}),
        ([team("tas"), team("admins")], LISTS, {"tas", "admins"}),
        ([team("participants"), team("tas"), team("admins")], LISTS, {"tas", "admins"}),
        ([team("PARTICIPANTS")], LISTS, {"students"}),
        ([team("participants", organization="COURSE")], LISTS, {"students"}),
        ([team("admins", organization="elsewhere")], LISTS, set()),
        ([team("participants 2025")], LISTS, set()),
        ([team("Lab People")], GitHubTeams(students=("lab-people",)), {"students"}),
        ([team("Lab People")], GitHubTeams(students=("LAB people",)), {"students"}),
        ([team("Staff")], GitHubTeams(tas=("staff",), admins=("staff",)), {"tas", "admins"}),
        ([team("a"), team("b")], GitHubTeams(students=("a", "b", "c")), {"students"}),
        ([team("admins")], GitHubTeams(admins=()), set()),
    ],
)
def test_teams_become_the_groups_whose_lists_name_them(teams, lists, expected):
    """A person is in each group whose list names one of their teams, by slug or by name."""
    assert groups_of(teams, "course", lists, GROUPS) == expected


@pytest.mark.parametrize(
    "name", ["admin\u017f", "ADM\u0130NS", "\uff41dmins", "admins\u200b", " admins"]
)
def test_a_look_alike_of_a_team_is_another_team(name):
    """A name that only Unicode's case rules or a careless eye take for `admins` gives nothing."""
    assert groups_of([team(name)], "course", LISTS, GROUPS) == set()


def test_groups_carry_the_configured_names():
    """The groups are called as the settings call them."""
    groups = Groups(students="class-a", tas="helpers", admins="ops")
    found = groups_of([team("tas"), team("admins")], "course", LISTS, groups)
    assert found == {"helpers", "ops"}
    assert is_admin(found, groups)
    assert not is_admin({"helpers", "admins"}, groups)


names = st.text("abcXYZ-", min_size=1, max_size=4)
lists = st.builds(
    GitHubTeams,
    students=st.lists(names, max_size=3).map(tuple),
    tas=st.lists(names, max_size=3).map(tuple),
    admins=st.lists(names, max_size=3).map(tuple),
)


@given(st.lists(names, max_size=6), st.lists(names, max_size=6), lists)
def test_groups_add_up(first, second, lists):
    """Two sets of teams together give the groups of both, but an admin is no student."""
    a, b = [team(name) for name in first], [team(name) for name in second]
    both = groups_of(a + b, "course", lists, GROUPS)
    apart = groups_of(a, "course", lists, GROUPS) | groups_of(b, "course", lists, GROUPS)
    assert both == (apart - {"students"} if "admins" in apart else apart)


@given(st.lists(names, max_size=6), lists)
def test_letter_case_and_order_do_not_count(found, lists):
    """The same teams in another order and in capitals give the same groups."""
    plain = [team(name) for name in found]
    shouted = [Team("COURSE", t.slug.upper(), t.name.upper()) for t in reversed(plain)]
    assert groups_of(plain, "course", lists, GROUPS) == groups_of(shouted, "course", lists, GROUPS)


@given(st.lists(names, max_size=6), lists)
def test_teams_of_another_organisation_never_count(found, lists):
    """Whatever teams somebody has elsewhere, they give no group here."""
    assert not groups_of([team(name, "elsewhere") for name in found], "course", lists, GROUPS)
