"""What the pages of the GitHub sign-in say."""

from __future__ import annotations

import pytest

from authenticator import github_pages
from authenticator.explanation import Explanation, SignInError
from authenticator.github_api import Membership
from hub_config.settings import GitHubLogin, GitHubTeams

SECRET = "very-secret-value"
GITHUB = GitHubLogin(client_id="Ov23x", client_secret=SECRET, organization="course")
ENTERPRISE = GITHUB.model_copy(update={"url": "https://git.example.org"})
CONTACT = "Grace in room 12"

PAGES = [
    github_pages.not_in_a_team(Membership.NONE, "ada", ENTERPRISE, CONTACT),
    github_pages.not_in_a_team(Membership.PENDING, "ada", ENTERPRISE, CONTACT),
    github_pages.not_in_a_team(Membership.ACTIVE, "ada", ENTERPRISE, CONTACT),
    github_pages.app_not_approved(ENTERPRISE, CONTACT),
    github_pages.single_sign_on(ENTERPRISE),
    github_pages.unavailable(ENTERPRISE, None),
    github_pages.not_set_up(CONTACT),
    github_pages.cancelled(),
    github_pages.interrupted(),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_each_page_says_what_happened_why_and_what_to_do(page: Explanation):
    """A page has a short title, whole sentences, at most two links, and no secret."""
    assert not page.title.endswith(".")
    assert page.cause.endswith(".")
    assert page.next_step.endswith(".")
    assert len(page.links) <= 2
    assert SECRET not in repr(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_links_lead_to_the_server_that_is_set(page: Explanation):
    """With a GitHub Enterprise server no link and no text leads to github.com."""
    assert all(link.url.startswith("https://git.example.org/") for link in page.links)
    assert "github.com" not in repr(page)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (GitHubTeams(students=("a",), tas=(), admins=()), "teams a."),
        (GitHubTeams(students=("a",), tas=("b",), admins=("a",)), "teams a and b."),
        (GitHubTeams(students=("a", "b"), tas=("c",), admins=()), "teams a, b and c."),
    ],
)
def test_teams_are_listed_as_one_would_say_it(lists, expected):
    """Each team is named once, with "and" before the last."""
    github = GITHUB.model_copy(update={"teams": lists})
    page = github_pages.not_in_a_team(Membership.ACTIVE, "ada", github, CONTACT)
    assert page.cause.endswith(expected)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "in a minute"), (1, "in a minute"), (60, "in a minute"), (61, "in about 2 minutes")],
)
def test_an_outage_says_when_to_try_again(seconds, expected):
    """Without a word of GitHub's it is a minute; else what GitHub said, rounded up."""
    assert expected in github_pages.unavailable(GITHUB, seconds).next_step


def test_a_log_text_with_percent_signs_is_logged_as_it_is():
    """What GitHub or a browser sends is never taken for a format."""
    error = SignInError(403, github_pages.interrupted(), "100%s %d %(name)s")
    assert error.log_message % error.args == "100%s %d %(name)s"
