"""Settings from the environment: `LABHUB_<SECTION>_<KEY>`, and the names of the openBIS image.

The environment wins over the file. A variable that is set but empty counts as not set, since that
is what compose files make of a missing value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from hub_config.problems import Problem
from hub_config.settings.keys import TREE, Node

_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}

BY_NAME: dict[str, Node] = {
    name: node for node in TREE.walk() if not node.is_secret for name in node.environment
}
"""What each environment variable sets, secrets aside."""

SECRETS = tuple(node for node in TREE.walk() if node.is_secret)
"""The keys that may also come from `KEY_file`, `..._KEY` and `..._KEY_FILE`."""

_SECRET_NAMES = {
    name + end for node in SECRETS for name in node.environment for end in ("", "_FILE")
}
_SECTIONS = tuple(f"LABHUB_{child.path[0].upper()}_" for child in TREE.children())


def given(environ: Mapping[str, str]) -> Iterator[tuple[Node, str, Any]]:
    """Yield the settings in an environment: key, variable, value; the last one of a key counts."""
    for name, node in BY_NAME.items():
        if text := environ.get(name):
            yield node, name, _value(text, node)


def _value(text: str, node: Node) -> Any:
    """Return a text as the type of its key; what does not fit stays text and is refused later."""
    text = text.strip()
    if bool in node.types:
        return _WORDS.get(text.lower(), text)
    if int in node.types and re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    if float in node.types and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", text):
        return float(text)
    return text


def unknown(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Find variables that begin like settings and are none."""
    known = {*BY_NAME, *_SECRET_NAMES}
    lists = {
        "LABHUB_" + "_".join(node.path).upper(): node
        for node in TREE.walk()
        if node.path and not node.environment
    }
    for name in sorted(environ):
        if not name.startswith(_SECTIONS) or name in known or not environ[name]:
            continue
        if name in lists:
            yield Problem(
                name,
                None,
                "cannot come from the environment, which holds single values only",
                f"Set {lists[name].name} in hub.toml.",
            )
            continue
        near = get_close_matches(name, known, 1, cutoff=0.8)
        yield Problem(
            name,
            None,
            "unknown in the environment" + (f"; did you mean {near[0]}?" if near else ""),
            "Rename the variable, or unset it. docs/settings.md lists them all.",
        )
