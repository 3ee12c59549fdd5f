"""What the pages say when GitHub, or its answer, keeps somebody out. Pure."""

from __future__ import annotations

import math

from authenticator.explanation import Explanation, Link
from authenticator.github_api import Membership
from hub_config.settings import GitHubLogin


def not_in_a_team(
    membership: Membership, login: str, github: GitHubLogin, contact: str
) -> Explanation:
    """Explain why somebody whose teams give them no group is not let in.

    Args:
        membership: How the person stands to the organisation.
        login: Their login on GitHub.
        github: The settings of the sign-in.
        contact: Whom to ask.
    """
    organization = github.organization
    if membership is Membership.PENDING:
        return Explanation(
            title=f"Your invitation to {organization} is waiting for you",
            cause=f"You were invited to the organisation {organization} on GitHub as {login}, but "
            "you have not accepted yet.",
            next_step="Accept the invitation, then sign in again.",
            links=(Link("Open the invitation", f"{github.url}/orgs/{organization}/invitation"),),
        )
    if membership is Membership.ACTIVE:
        return Explanation(
            title="You are in none of the teams that may use this hub",
            cause=f"On GitHub you are {login}, a member of {organization}. This hub is for its "
            f"teams {_listed(github)}.",
            next_step=f"Ask {contact} to add {login} to the right team, then sign in again.",
        )
    return Explanation(
        title=f"You are not a member of {organization}",
        cause=f"This hub is for members of the organisation {organization} on GitHub. There you "
        f"are signed in as {login}, whom it does not know.",
        next_step=f"Ask {contact} to invite {login}, and accept the invitation that GitHub sends "
        "you by mail. Then sign in again. If you have another account on GitHub, change to that "
        "one first.",
        links=(
            Link(f"See your invitation to {organization}", f"{github.url}/{organization}"),
            Link("Change your account on GitHub", f"{github.url}/logout"),
        ),
    )


def _listed(github: GitHubLogin) -> str:
    teams = dict.fromkeys((*github.teams.students, *github.teams.tas, *github.teams.admins))
    *most, last = teams or ("(none is set)",)
    return f"{', '.join(most)} and {last}" if most else last


def app_not_approved(github: GitHubLogin, contact: str) -> Explanation:
    """Explain that the organisation has not approved the hub's OAuth app."""
    organization = github.organization
    return Explanation(
        title=f"{organization} has not approved this hub yet",
        cause="GitHub does not tell this hub who is in which team before an owner of the "
        "organisation approves it. Until then nobody can sign in; your account is all right.",
        next_step=f"Please tell {contact}, and show them this page.",
        links=(
            Link("Approve it (owners of the organisation)", policy_url(github)),
            Link(
                "Ask for the approval (members)",
                f"{github.url}/settings/connections/applications/{github.client_id}",
            ),
        ),
        for_admins=f"An owner of the organisation opens {policy_url(github)}, finds the OAuth app "
        f"with the client id {github.client_id}, presses Review, then Grant access. An app that is "
        "not listed there appears once a member has asked for the approval.",
    )


def policy_url(github: GitHubLogin) -> str:
    """Return where an owner of the organisation approves OAuth apps."""
    return f"{github.url}/organizations/{github.organization}/settings/oauth_application_policy"


def single_sign_on(github: GitHubLogin) -> Explanation:
    """Explain that the organisation wants its own sign-in first."""
    organization = github.organization
    return Explanation(
        title=f"{organization} asks for its own sign-in first",
        cause=f"The organisation {organization} protects its teams with single sign-on.",
        next_step=f"Sign in to {organization} on GitHub, then sign in here again.",
        links=(Link(f"Sign in to {organization}", f"{github.url}/orgs/{organization}/sso"),),
    )


def unavailable(github: GitHubLogin, retry_after_s: int | None) -> Explanation:
    """Explain that GitHub gives no answer.

    Args:
        github: The settings of the sign-in.
        retry_after_s: When GitHub wants to be asked again, seconds, if it said so.
    """
    minutes = math.ceil((retry_after_s or 60) / 60)
    when = "in a minute" if minutes == 1 else f"in about {minutes} minutes"
    status = Link("See how GitHub is doing", "https://www.githubstatus.com")
    return Explanation(
        title="GitHub cannot answer just now",
        cause="This hub asks GitHub who you are, and got no usable answer. Your account and your "
        "files are all right, and whoever is signed in stays signed in.",
        next_step=f"Try to sign in again {when}.",
        links=(status,) if github.url == "https://github.com" else (),
    )


def not_set_up(contact: str) -> Explanation:
    """Explain that GitHub does not know this hub's OAuth app."""
    return Explanation(
        title="Sign-in with GitHub is not set up right",
        cause="GitHub does not accept this hub's own registration, so nobody can sign in.",
        next_step=f"Please tell {contact}.",
        for_admins="The hub's log says what GitHub answered. Compare client_id, client_secret_file "
        "and the callback address with those of the OAuth app on GitHub.",
    )


def cancelled() -> Explanation:
    """Explain that the person said no on GitHub's page."""
    return Explanation(
        title="You did not allow this hub to see your GitHub account",
        cause="The hub needs to know your GitHub name and your teams, and nothing else. It cannot "
        "see or change your repositories.",
        next_step="If you want to use the hub, sign in again and press Authorize.",
    )


def interrupted() -> Explanation:
    """Explain a sign-in that was not finished, was finished twice, or in another window."""
    return Explanation(
        title="The sign-in was interrupted",
        cause="It took too long, was opened in two windows, or the page was loaded twice.",
        next_step="Sign in again.",
    )
