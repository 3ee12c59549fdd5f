"""What a user may choose at start: profiles, by keys and values that are allow-listed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment

from hub_config.settings import Profile

_FORM = Environment(autoescape=True).from_string(Path(__file__).with_name("form.html").read_text())


class OptionsRefused(ValueError):
    """The options of a start are not allowed; str() is a text for the user."""


def allowed_profiles(profiles: Iterable[Profile], groups: Collection[str]) -> list[Profile]:
    """Return the profiles that a member of `groups` may choose, in the operator's order."""
    return [item for item in profiles if not item.groups or set(item.groups) & set(groups)]


def render_form(profiles: list[Profile], chosen: str) -> str:
    """Return the HTML of the choice; empty where there is nothing to choose."""
    if len(profiles) < 2:
        return ""
    return _FORM.render(profiles=profiles, chosen=chosen)


def options_from_form(form: dict[str, list[str]]) -> dict[str, str]:
    """Return the options of a submitted form, or of a query string.

    Raises:
        OptionsRefused: a key that is not ours, or more than one value.
    """
    unknown = sorted(set(form) - {"profile", "_xsrf"})
    if unknown:
        raise OptionsRefused(f"Unknown choice: {', '.join(unknown)[:80]}. Choose a profile.")
    values = form.get("profile", [])
    if len(values) > 1:
        raise OptionsRefused("Choose one profile only.")
    return {"profile": values[0]} if values else {}


def choose_profile(options: Any, allowed: list[Profile]) -> Profile:
    """Return the profile that options ask for; the first one when they ask for none.

    Args:
        options: What came from the form, the API or the database: anything at all.
        allowed: The profiles that the user may choose.

    Raises:
        OptionsRefused: unknown keys, a value that is no name, or a profile that is not allowed.
    """
    if not allowed:
        raise OptionsRefused("There is no profile for you yet. Ask the people who run this hub.")
    if not isinstance(options, dict) or set(options) - {"profile"}:
        raise OptionsRefused("Only a profile can be chosen. Open the start page and choose one.")
    name = options.get("profile", allowed[0].name)
    for profile in allowed:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in allowed)
    raise OptionsRefused(f"There is no such profile for you. You can choose: {known}.")
