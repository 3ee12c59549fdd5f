"""Sign-in with the demo logins, and what the three roles may do, on a real hub process."""

from __future__ import annotations

import stat
import time

import pytest

from authenticator.demo import demo_logins
from hub_config.people import People
from tests.services.conftest import HubProcess, run_hub
from tests.support.hub import Visitor


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    for hub in run_hub(tmp_path_factory.mktemp("demo-hub")):
        yield hub
        passwords = [login.password for login in demo_logins(hub.state.demo_logins_file).values()]
        assert [password for password in passwords if password in hub.log()] == []


def sign_in(hub: HubProcess, role: str) -> Visitor:
    login = demo_logins(hub.state.demo_logins_file)[role]
    visitor = Visitor(hub.url, login.username)
    visitor.sign_in(login.password)
    return visitor


@pytest.fixture(scope="module")
def admin(hub) -> Visitor:
    return sign_in(hub, "admin")


@pytest.fixture(scope="module")
def ta(hub) -> Visitor:
    return sign_in(hub, "ta")


@pytest.fixture(scope="module")
def student(hub) -> Visitor:
    return sign_in(hub, "student")


def test_the_logins_are_made_at_the_start_and_closed(hub):
    """A hub in demo mode has written its three logins, for its owner only."""
    assert stat.S_IMODE(hub.state.demo_logins_file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("role", "group", "is_admin"),
    [("admin", "admins", True), ("ta", "tas", False), ("student", "students", False)],
)
def test_each_login_has_its_group_and_identity(hub, role, group, is_admin):
    """Each demo login signs in, into its group, and holds its name for its identity."""
    me = sign_in(hub, role).api("GET", "user").json()
    assert (me["name"], me["groups"], me["admin"]) == (role, [group], is_admin)
    person = People(hub.state.people_file).find(role)
    assert person is not None
    assert person.identity == f"demo:{role}"
    assert person.uid >= hub.settings.start.first_uid


def test_the_login_page_says_where_the_logins_stand(hub):
    """The page names the file of the logins, that it is for this machine, and the hub's title."""
    page = hub.visitor().get("hub/login").text
    assert "demo-logins.json" in page
    assert "only on this machine" in page
    assert "Course 2026" in page


def test_a_wrong_password_is_refused_in_words(hub):
    """Who mistypes sees the form again, with a reason, and is not in."""
    visitor = hub.visitor()
    page = visitor.post_form("hub/login", username="student", password="wrong")
    assert page.status_code == 403
    assert "The user name or the password is wrong" in page.text
    assert 'name="password"' in page.text
    assert visitor.api("GET", "user").status_code == 403


def test_many_wrong_passwords_wait_and_the_right_one_still_works(hub):
    """After a few wrong passwords the page says how long to wait; the right one gets in."""
    visitor = hub.visitor()
    answers = [
        visitor.post_form("hub/login", username="ta", password=f"guess {n}") for n in range(8)
    ]
    assert answers[0].status_code == 403
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert "Too many wrong passwords" in answers[-1].text
    assert sign_in(hub, "ta").api("GET", "user").status_code == 200
    assert "guess" not in hub.log()


def test_a_form_without_its_fields_is_refused_in_words(hub):
    """A login form without a password is a 400 with a reason, not a failure of the hub."""
    answer = hub.visitor().post_form("hub/login", name="student")
    assert answer.status_code == 400
    assert "without a user name or password" in answer.text


def test_the_admin_page_opens_for_ta_and_admin_only(admin, ta, student):
    """Admin and TA may open the page of users; the student is told that they may not."""
    assert admin.get("hub/admin").status_code == 200
    assert ta.get("hub/admin").status_code == 200
    refused = student.get("hub/admin")
    assert refused.status_code in (403, 404)
    assert "You may not open this page" in refused.text
    assert "Grace in room 12" in refused.text


def test_everybody_sees_whom_they_may_see(admin, ta, student):
    """The admin sees all, the TA the students, the student nobody."""

    def names(visitor: Visitor) -> set[str]:
        return {user["name"] for user in visitor.api("GET", "users").json()}

    assert names(admin) == {"admin", "ta", "student"}
    assert names(ta) - {"ta"} == {"student"}
    assert student.api("GET", "users").status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "users/admin"),
        ("POST", "users/admin/server"),
        ("DELETE", "users/admin/server"),
        ("POST", "users/admin/tokens"),
        ("GET", "users/student/tokens"),
        ("POST", "users/student/tokens"),
        ("PATCH", "users/student"),
        ("DELETE", "users/student"),
        ("POST", "users/newcomer"),
        ("GET", "groups"),
        ("POST", "groups/admins/users"),
        ("GET", "services"),
        ("GET", "proxy"),
        ("POST", "shutdown"),
    ],
)
def test_a_ta_reaches_nothing_outside_the_class(admin, ta, student, method, path):
    """What is not a student's server answers a TA as if it were not there."""
    assert ta.api(method, path, json={}).status_code in (403, 404)


@pytest.mark.parametrize("who", ["admin", "ta"])
def test_a_student_reaches_nobody_else(admin, ta, student, who):
    """A student can neither see nor start the servers of TA and admin."""
    assert student.api("GET", f"users/{who}").status_code == 404
    assert student.api("POST", f"users/{who}/server").status_code in (403, 404)


def opens(visitor: Visitor, owner: str) -> bool:
    """Ask the hub, as a server does for its visitor, whether somebody may open a server."""
    query = {
        "client_id": f"jupyterhub-user-{owner}",
        "redirect_uri": f"/user/{owner}/oauth_callback",
        "response_type": "code",
        "state": "x",
    }
    answer = visitor.get("hub/api/oauth2/authorize", params=query, allow_redirects=False)
    assert answer.status_code in (200, 302, 403), answer.text
    return answer.status_code != 403


def wait_until_server(visitor: Visitor, owner: str) -> None:
    """Return when somebody's server is ready."""
    deadline = time.monotonic() + 30
    while not (visitor.api("GET", f"users/{owner}").json()["servers"] or {"": {}})[""].get("ready"):
        assert time.monotonic() < deadline, f"the server of {owner} does not get ready"
        time.sleep(0.1)


def test_ta_and_admin_open_a_student_s_server_and_the_student_no_other(admin, ta, student):
    """The TA starts, opens and stops the student's server; nobody opens the admin's but they."""
    assert ta.api("POST", "users/student/server").status_code in (201, 202)
    assert admin.api("POST", "users/admin/server").status_code in (201, 202)
    wait_until_server(ta, "student")
    wait_until_server(admin, "admin")
    assert opens(ta, "student")
    assert opens(admin, "student")
    assert opens(student, "student")
    assert opens(admin, "admin")
    assert not opens(ta, "admin")
    assert not opens(student, "admin")
    assert ta.api("DELETE", "users/student/server").status_code in (202, 204)
    assert admin.api("DELETE", "users/admin/server").status_code in (202, 204)


def test_an_address_that_does_not_exist_is_explained(student):
    """A page that is not there answers 404, says so in words and leads home."""
    page = student.get("hub/no-such-page")
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text
    assert "/hub/home" in page.text
