"""Sign-in with GitHub against a stand-in that speaks real HTTP, on a real hub process."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests

from hub_config.people import People
from tests.services.conftest import HubProcess, github_toml, run_hub
from tests.support.github import CLIENT_SECRET, Fault, GitHubPerson, StandInGitHub
from tests.support.hub import Visitor

NO_ANSWER = [
    Fault.ERROR_500,
    Fault.ERROR_502,
    Fault.HANG,
    Fault.RESET,
    Fault.RATE_LIMIT,
    Fault.SECONDARY_LIMIT,
    Fault.TOO_MANY,
    Fault.GARBAGE,
    Fault.WRONG_SHAPE,
    Fault.NOT_HTTP,
    Fault.SLOW,
    Fault.FORBIDDEN,
    Fault.MOVED,
]


@pytest.fixture(scope="module")
def stand_in():
    with StandInGitHub() as github:
        yield github


@pytest.fixture(scope="module")
def hub(tmp_path_factory, stand_in):
    folder = tmp_path_factory.mktemp("github-hub")
    for hub in run_hub(folder, github_toml(stand_in)):
        yield hub
        log = hub.log()
        secrets = [CLIENT_SECRET, *stand_in.tokens, *stand_in.codes_given]
        assert [secret for secret in secrets if secret in log] == []


@pytest.fixture
def github(stand_in, hub):
    """The stand-in of the module's hub, in order and without anybody in it."""
    stand_in.reset()
    return stand_in


_next_id = iter(range(1_000_001, 2_000_000))


def person(github: StandInGitHub, login: str, *teams: str, **more: object) -> GitHubPerson:
    return github.add(GitHubPerson(next(_next_id), login, list(teams), **more))


def arrive(
    hub: HubProcess, github: StandInGitHub, login: str | None
) -> tuple[Visitor, requests.Response]:
    """Sign in as somebody; return their browser and the page that they end on."""
    github.signed_in = login
    visitor = hub.visitor()
    return visitor, visitor.get("hub/oauth_login", params={"next": "/hub/home"})


def whoami(visitor: Visitor) -> dict:
    answer = visitor.api("GET", "user")
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_signed_in(visitor: Visitor) -> bool:
    answer = visitor.get("hub/home", allow_redirects=False)
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"it does not happen that {what}"
        time.sleep(0.1)


def ask_github_again(visitor: Visitor, github: StandInGitHub) -> bool:
    """Open pages until the hub has asked GitHub about the visitor; tell whether they are in."""
    before = len(github.requests)
    last = True

    def asked() -> bool:
        nonlocal last
        last = is_signed_in(visitor)
        return len(github.requests) > before

    wait_until(asked, "the hub asks GitHub again")
    return last


def test_the_login_page_offers_github(hub):
    """The page has one button, to GitHub, and no form."""
    page = hub.visitor().get("hub/login").text
    assert "Sign in with GitHub" in page
    assert "<form" not in page
    assert "demo" not in page.lower()


@pytest.mark.parametrize(
    ("teams", "groups", "is_admin"),
    [
        (["participants"], ["students"], False),
        (["Teaching Assistants"], ["tas"], False),
        (["admins"], ["admins"], True),
        (["participants", "Teaching Assistants"], ["students", "tas"], False),
        (["cooks", "participants"], ["students"], False),
    ],
)
def test_teams_become_groups(hub, github, teams, groups, is_admin):
    """Participants are students, TAs are TAs, admins are admins."""
    someone = person(github, f"person-{next(_next_id)}", *teams)
    visitor, page = arrive(hub, github, someone.login)
    assert page.status_code == 200
    me = whoami(visitor)
    assert (me["name"], sorted(me["groups"]), me["admin"]) == (someone.login, groups, is_admin)


def test_a_child_team_counts_as_its_parent(hub, github):
    """Who is in a child team of the participants is a student, as GitHub sees it."""
    person(github, "child", "group a", parents={"group a": "participants"})
    visitor, _ = arrive(hub, github, "child")
    assert whoami(visitor)["groups"] == ["students"]


def test_the_numeric_id_is_kept_from_the_first_sign_in_on(hub, github):
    """The hub's name is bound to GitHub's id, in lower case, with a uid of its own."""
    ada = person(github, "Ada-L", "participants")
    visitor, _ = arrive(hub, github, "Ada-L")
    found = People(hub.state.people_file).find_identity(f"github:{ada.id}")
    assert found is not None
    assert found.name == whoami(visitor)["name"] == "ada-l"
    assert found.uid >= hub.settings.start.first_uid


def test_teams_beyond_the_first_page_count(hub, github):
    """With 250 teams elsewhere listed before it, the team of the course is still found."""
    person(github, "busy", "participants", other_teams=250)
    visitor, _ = arrive(hub, github, "busy")
    assert whoami(visitor)["groups"] == ["students"]
    assert github.requests.count(("GET", "/user/teams")) == 3


def test_a_member_of_another_organisation_s_team_is_not_let_in(hub, github):
    """A team of the right name in another organisation opens nothing."""
    github.add(GitHubPerson(next(_next_id), "foreign", ["participants"], team_owner="elsewhere"))
    visitor, page = arrive(hub, github, "foreign")
    assert page.status_code == 403
    assert not is_signed_in(visitor)


def test_a_stranger_is_told_whom_to_ask(hub, github):
    """Who is not in the organisation learns which it is, whom to ask and where to accept."""
    person(github, "stranger", membership="none")
    visitor, page = arrive(hub, github, "stranger")
    assert page.status_code == 403
    assert "You are not a member of course-2026" in page.text
    assert "Ask Grace in room 12 to invite stranger" in page.text
    assert f'href="{github.url}/course-2026"' in page.text
    assert not is_signed_in(visitor)


def test_a_pending_invitation_is_shown_the_way(hub, github):
    """Who was invited but has not accepted gets the address of the invitation."""
    person(github, "invited", "participants", membership="pending")
    _, page = arrive(hub, github, "invited")
    assert page.status_code == 403
    assert "invitation to course-2026 is waiting" in page.text
    assert f'href="{github.url}/orgs/course-2026/invitation"' in page.text


def test_a_member_without_a_team_is_told_which_teams(hub, github):
    """Who is in the organisation but in none of the teams learns which teams there are."""
    person(github, "teamless", "cooks")
    visitor, page = arrive(hub, github, "teamless")
    assert page.status_code == 403
    assert "participants, Teaching Assistants and admins" in page.text
    assert "Ask Grace in room 12 to add teamless" in page.text
    assert not is_signed_in(visitor)


def test_an_unapproved_app_is_explained_to_the_admin(hub, github):
    """Where the organisation has not approved the OAuth app, page and log say where to do it."""
    github.app_approved = False
    person(github, "early", "participants")
    _, page = arrive(hub, github, "early")
    assert page.status_code == 403
    assert "course-2026 has not approved this hub yet" in page.text
    policy = f"{github.url}/organizations/course-2026/settings/oauth_application_policy"
    assert f'href="{policy}"' in page.text
    assert policy in hub.log()


def test_single_sign_on_is_explained(hub, github):
    """Where the organisation demands its own sign-in first, the page leads there."""
    github.sso_required = True
    person(github, "member", "participants")
    _, page = arrive(hub, github, "member")
    assert page.status_code == 403
    assert f'href="{github.url}/orgs/course-2026/sso"' in page.text


def test_whoever_cancels_is_told_what_it_is_for(hub, github):
    """Pressing Cancel on GitHub's page ends on a page in words."""
    _, page = arrive(hub, github, None)
    assert page.status_code == 403
    assert "You did not allow this hub" in page.text


def test_a_wrong_client_secret_is_the_admin_s_to_mend(hub, github):
    """When GitHub does not know the hub's app, the page says whom to tell and the log why."""
    github.secret = "another"
    person(github, "unlucky", "participants")
    _, page = arrive(hub, github, "unlucky")
    assert page.status_code == 503
    assert "not set up right" in page.text
    assert "incorrect_client_credentials" in hub.log()


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?code=x&state=y", "?error=weird&error_description=<b>gotcha"]
)
def test_a_callback_that_ends_no_sign_in_is_refused_in_words(hub, query):
    """What did not begin in this browser is a 400 with the next step, and echoes nothing."""
    page = hub.visitor().get(f"hub/oauth_callback{query}")
    assert page.status_code == 400
    assert "The sign-in was interrupted" in page.text
    assert "gotcha" not in page.text


def test_a_callback_that_is_loaded_twice_is_refused_in_words(hub, github):
    """Loading GitHub's answer again signs nobody in a second time."""
    person(github, "twice", "participants")
    visitor, page = arrive(hub, github, "twice")
    callback = next(hop.url for hop in page.history if "oauth_callback" in hop.url)
    again = visitor.session.get(callback)
    assert again.status_code == 400
    assert "The sign-in was interrupted" in again.text
    assert is_signed_in(visitor)


@pytest.mark.parametrize("fault", NO_ANSWER, ids=lambda fault: fault.name)
def test_an_outage_keeps_newcomers_waiting_and_nobody_out(hub, github, fault):
    """Without a usable answer a new sign-in is told to try again, and who is in stays in."""
    login = f"settled-{fault.name.lower().replace('_', '-')}"
    person(github, login, "participants")
    visitor, _ = arrive(hub, github, login)
    assert is_signed_in(visitor)

    github.fail(fault)
    newcomer, page = arrive(hub, github, login)
    assert page.status_code == 503
    assert "GitHub cannot answer just now" in page.text
    assert int(page.headers["Retry-After"]) > 0
    assert not is_signed_in(newcomer)
    assert ask_github_again(visitor, github)
    assert whoami(visitor)["groups"] == ["students"]

    github.recover()
    _, page = arrive(hub, github, login)
    assert page.status_code == 200


@pytest.mark.parametrize("path", ["/user", "/user/teams", "/user/memberships/orgs/course-2026"])
def test_an_outage_of_a_part_is_an_outage(hub, github, path):
    """It does not matter which of the questions stays without an answer."""
    github.add(GitHubPerson(7, "partial", ["cooks" if "memberships" in path else "participants"]))
    github.fail(Fault.ERROR_500, path)
    _, page = arrive(hub, github, "partial")
    assert page.status_code == 503
    assert "GitHub cannot answer just now" in page.text


def test_a_rate_limit_says_for_how_long(hub, github):
    """When GitHub says until when, the page passes it on."""
    person(github, "limited", "participants")
    github.fail(Fault.RATE_LIMIT)
    _, page = arrive(hub, github, "limited")
    assert 60 < int(page.headers["Retry-After"]) <= 600
    assert "again in about 10 minutes" in page.text


def test_a_team_list_that_breaks_off_is_no_answer(hub, github):
    """When the second page of the teams is missing, the first does not count as all there are."""
    person(github, "halfway", "participants", other_teams=150)
    visitor, _ = arrive(hub, github, "halfway")
    github.fail_from_page = 2
    assert ask_github_again(visitor, github)
    assert whoami(visitor)["groups"] == ["students"]


def test_whoever_left_the_teams_has_to_go(hub, github):
    """A definite no on refresh ends the session, and the next sign-in says why."""
    leaver = person(github, "leaver", "participants")
    visitor, _ = arrive(hub, github, "leaver")
    leaver.teams.clear()
    wait_until(lambda: not is_signed_in(visitor), "the session ends")
    _, page = arrive(hub, github, "leaver")
    assert page.status_code == 403
    assert "in none of the teams" in page.text


def test_an_organisation_that_withdraws_its_approval_signs_nobody_out(hub, github):
    """When GitHub keeps the teams from the hub, the last answer about a person holds."""
    person(github, "steady", "participants")
    visitor, _ = arrive(hub, github, "steady")
    github.app_approved = False
    assert ask_github_again(visitor, github)


def test_another_team_takes_effect_without_a_new_sign_in(hub, github):
    """An admin who becomes a TA is one, and no more than that, after the next refresh."""
    mover = person(github, "mover", "admins")
    visitor, _ = arrive(hub, github, "mover")
    assert whoami(visitor)["admin"]
    mover.teams[:] = ["Teaching Assistants"]
    wait_until(lambda: whoami(visitor)["groups"] == ["tas"], "the group changes")
    assert not whoami(visitor)["admin"]
    assert visitor.api("GET", "users/nobody-at-all").status_code == 404


def test_a_token_that_was_revoked_on_github_needs_a_new_sign_in(hub, github):
    """Who withdraws the authorisation on GitHub is asked to sign in again."""
    person(github, "careful", "participants")
    visitor, _ = arrive(hub, github, "careful")
    github.tokens.clear()
    wait_until(lambda: not is_signed_in(visitor), "the session ends")
    _, page = arrive(hub, github, "careful")
    assert page.status_code == 200


def test_a_renamed_login_keeps_its_name_and_home(hub, github):
    """Whoever changes their login on GitHub is the same person here as before."""
    person(github, "before", "participants")
    first, _ = arrive(hub, github, "before")
    github.rename("before", "after")
    assert ask_github_again(first, github)
    second, page = arrive(hub, github, "after")
    assert page.status_code == 200
    assert whoami(second)["name"] == "before"


def test_whoever_takes_over_a_freed_login_does_not_get_the_home(hub, github):
    """Another GitHub id with a name that is taken here is refused in words, the owner is not."""
    person(github, "coveted", "participants")
    arrive(hub, github, "coveted")
    github.rename("coveted", "original")
    person(github, "Coveted", "participants")  # the hub's names know no capitals
    visitor, page = arrive(hub, github, "Coveted")
    assert page.status_code == 403
    assert "This name belongs to somebody else" in page.text
    assert "Grace in room 12" in page.text
    assert not is_signed_in(visitor)
    owner, _ = arrive(hub, github, "original")
    assert whoami(owner)["name"] == "coveted"


def test_a_ta_from_github_sees_the_students_only(hub, github):
    """A TA opens the admin page and is shown students; a student is refused."""
    person(github, "helper", "Teaching Assistants")
    person(github, "pupil", "participants")
    person(github, "chief", "admins", "participants")
    pupil, _ = arrive(hub, github, "pupil")
    arrive(hub, github, "chief")
    helper, _ = arrive(hub, github, "helper")
    assert helper.get("hub/admin").status_code == 200
    assert pupil.get("hub/admin").status_code == 403
    shown = {user["name"] for user in helper.api("GET", "users").json()}
    assert "pupil" in shown
    assert "chief" not in shown


def test_no_page_holds_a_token(hub, github):
    """Neither a token nor the client secret stands in a page or in the address of one."""
    person(github, "curious", "participants")
    visitor, page = arrive(hub, github, "curious")
    pages = [*page.history, page, visitor.get("hub/home"), visitor.api("GET", "user")]
    for secret in (CLIENT_SECRET, *github.tokens):
        assert not [seen.url for seen in pages if secret in seen.text + seen.url]
