"""Who may sign in, and which group they are in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from .base import GroupName, Section, shaped, table, web_address, wrong


def _team(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise wrong("must be the name of a team, without spaces around it")
    if text == "*":
        raise wrong(
            "would let everyone in", "Name the teams; people outside of them are told whom to ask."
        )
    return text


def _github_url(text: str) -> str:
    return web_address(text, plain="loopback")


def _github_api_url(text: str) -> str:
    return web_address(text, path=True, plain="loopback") if text else ""


Team = Annotated[str, AfterValidator(_team)]


class Groups(Section):
    """The names of the three groups that have a meaning for labhub."""

    students: GroupName = Field("students", description="Group of the students of the class.")
    tas: GroupName = Field("tas", description="Group of the TAs, who may help the students.")
    admins: GroupName = Field("admins", description="Group of the admins.")

    @property
    def names(self) -> tuple[str, str, str]:
        """Return the three names, those with the least reach first."""
        return (self.students, self.tas, self.admins)


class GitHubTeams(Section):
    """Which teams of the organisation become which group; team names or slugs.

    Who is in several teams is in the group of each, but an admin never in the students'.
    """

    students: tuple[Team, ...] = Field(
        ("participants",), description="Teams whose members are students."
    )
    tas: tuple[Team, ...] = Field(("tas",), description="Teams whose members are TAs.")
    admins: tuple[Team, ...] = Field(("admins",), description="Teams whose members are admins.")


class GitHubLogin(Section):
    """Sign-in with GitHub: members of an organisation's teams."""

    client_id: str = Field(
        min_length=1, description="Client id of the OAuth app.", examples=["Ov23li0000000000"]
    )
    client_secret: SecretStr = Field(
        min_length=1,
        description="Client secret of the OAuth app; rather set client_secret_file.",
        examples=["-"],
    )
    organization: Annotated[
        str,
        shaped(
            r"[A-Za-z0-9](-?[A-Za-z0-9])*",
            "the name of an organisation as in its address: letters, digits and single dashes",
        ),
    ] = Field(description="The organisation, as in its address.", examples=["my-course"])
    teams: GitHubTeams = table(
        "Teams and the groups they become; names or slugs. Who is in several is in the "
        "group of each; an admin is never also in the students' group."
    )
    url: Annotated[str, AfterValidator(_github_url)] = Field(
        "https://github.com",
        description="Address of GitHub, or of a GitHub Enterprise server.",
    )
    api_url: Annotated[str, AfterValidator(_github_api_url)] = Field(
        "",
        description="Address of GitHub's REST API. Empty: https://api.github.com, or URL/api/v3.",
        examples=["https://api.github.com"],
    )


class Login(Section):
    """How people sign in. Without any way configured, the hub is in demo mode."""

    github: GitHubLogin | None = Field(
        None, description="Sign-in with GitHub: members of an organisation's teams."
    )
