"""What counts as an answer of GitHub, and what as none; the responses are made by hand."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from authenticator.github_api import Answer, GitHubUnavailable, read_answer
from authenticator.github_api import _read_teams as read_teams
from authenticator.groups import Team


class Body:
    """What tornado hands over as the body of a response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def getvalue(self) -> bytes:
        return self._body


def answer(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    named = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
    request = HTTPRequest("https://api.example.org/user")
    return read_answer(HTTPResponse(request, status, named, Body(body)), "/user")


@pytest.mark.parametrize("status", [200, 401, 403, 404, 422])
def test_these_are_answers(status):
    """Success and plain client errors are definite."""
    assert answer(status, b'{"message": "why"}').status == status


@pytest.mark.parametrize("status", [301, 302, 304, 429, 500, 502, 503, 504, 599])
def test_these_are_none(status):
    """Redirects, rate limits and server errors say nothing about anybody."""
    with pytest.raises(GitHubUnavailable):
        answer(status)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X_RateLimit_Remaining": "0"}, b"{}"),
        ({"Retry_After": "30"}, b"{}"),
        ({}, b'{"message": "You have exceeded a secondary rate limit"}'),
        ({}, b'{"message": "API Rate Limit exceeded for user"}'),
    ],
)
def test_a_403_about_limits_is_no_answer(headers, body):
    """GitHub says "too many requests" with 403, too."""
    with pytest.raises(GitHubUnavailable):
        answer(403, body, **headers)


def test_a_403_with_requests_left_is_an_answer():
    """A refusal is one although the headers speak of limits."""
    refused = answer(403, b'{"message": "no"}', X_RateLimit_Remaining="12")
    assert refused.message == "no"


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry_After": "30"}, 30, 30),
        ({"Retry_After": "0"}, 1, 1),
        ({"Retry_After": "9" * 30}, 3600, 3600),
        ({"X_RateLimit_Reset": "12"}, 1, 1),
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, None),
        ({"Retry_After": "\u00b2"}, None, None),
        ({}, None, None),
    ],
)
def test_when_to_ask_again_is_read_and_bounded(headers, least, most):
    """The time that GitHub names is taken when it makes sense, between a second and an hour."""
    with pytest.raises(GitHubUnavailable) as caught:
        answer(429, **headers)
    found = caught.value.retry_after_s
    assert found is None if least is None else least <= found <= most


def test_the_end_of_a_rate_limit_is_a_time_of_day():
    """GitHub says when the limit ends; what matters is how long that is from now."""
    with pytest.raises(GitHubUnavailable) as caught:
        answer(429, X_RateLimit_Reset=str(int(time.time()) + 600))
    assert 500 <= caught.value.retry_after_s <= 600


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"id": 1'])
def test_a_body_that_is_not_json_is_no_answer(body):
    """A page of a proxy, a cut or a broken body does not count."""
    with pytest.raises(GitHubUnavailable):
        answer(200, body)


def test_a_404_needs_no_body():
    """Not found is an answer whatever it is wrapped in."""
    assert answer(404, b"<html>").status == 404


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (
            '<https://a/x?page=2>; rel="next", <https://a/x?page=9>; rel="last"',
            "https://a/x?page=2",
        ),
        ('<https://a/x?page=1>; rel="prev"', ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_the_next_page_is_found(link, expected):
    """Only the link called next leads on."""
    assert answer(200, b"[]", Link=link).next_url == expected


def test_teams_and_their_parents_are_read():
    """Each team counts, and so does the team that it is a child of."""
    owner = {"login": "course"}
    parent = {"slug": "participants", "name": "Participants"}
    page = [
        {"slug": "a", "name": "A", "organization": owner, "parent": parent},
        {"slug": "b", "name": "B", "organization": owner, "parent": None},
        {"slug": "c", "name": "C", "organization": owner},
    ]
    assert read_teams(page) == [
        Team("course", "a", "A"),
        Team("course", "participants", "Participants"),
        Team("course", "b", "B"),
        Team("course", "c", "C"),
    ]


@pytest.mark.parametrize("page", [{}, "", None, 0, [None], [[]], [{"slug": "a", "name": "A"}]])
def test_no_list_of_teams_is_not_an_empty_one(page):
    """What is no list of teams is no answer, above all not "no teams"."""
    with pytest.raises(GitHubUnavailable):
        read_teams(page)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["organization", "login", "slug", "name", "parent"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_a_page_of_teams_is_read_whole_or_not_at_all(data):
    """Whatever JSON comes, it is a list of teams or no answer, never another error."""
    try:
        teams = read_teams(data)
    except GitHubUnavailable:
        return
    assert isinstance(data, list)
    assert len(teams) >= len(data)
    assert all(isinstance(team.slug + team.name + team.organization, str) for team in teams)


@given(st.integers(200, 599), st.binary(max_size=40), st.text("0123456789 -", max_size=12))
def test_any_response_is_an_answer_or_none(status, body, after):
    """No status, body or header makes the reading itself fail."""
    try:
        found = answer(status, body, Retry_After=after.strip())
    except GitHubUnavailable:
        return
    assert found.status == status
    assert found.data is None or json.dumps(found.data)
