"""What is wrong with the settings, in words: pure, and never with a secret in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hub_config.settings import Key, key_name
from hub_config.settings.keys import TREE, Node

_LONGEST_VALUE = 80

_WORDS = {
    "bool_type": "must be true or false, without quotes",
    "finite_number": "must be a number that is not nan or inf",
    "float_type": "must be a number, without quotes",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_type": "must be a whole number, without quotes",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "model_type": "must be a table",
    "path_type": "must be a path, in quotes",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_type": "must be text, in quotes",
    "tuple_type": "must be a list",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, with the way out.

    Attributes:
        key: As one writes it in `hub.toml`, such as `profile[1].image`. For text that is not TOML
            the place, such as `line 3, column 7`.
        value: The bad value as shown, such as `"Big/Image"`; None where it would tell a secret or
            nothing.
        message: What is wrong; goes on after the key.
        fix: The next step.
        source: The environment variable that the value came from; empty: the file.
    """

    key: str
    value: str | None
    message: str
    fix: str = ""
    source: str = ""

    def __str__(self) -> str:
        """Return two lines: what is wrong, and the next step."""
        origin = f" (from the environment, {self.source})" if self.source else ""
        text = f"{self.key}{origin}: {self.message}" if self.key else self.message
        plain = (self.value or "").strip('"')
        told = plain and (f'"{plain}"' in self.message or self.message.startswith(f"is {plain},"))
        if self.value is not None and not told:
            text += f"; it is {self.value}"
        return text + (f"\n    {self.fix}" if self.fix else "")


class SettingsError(Exception):
    """The settings are refused; str() is the full text for the operator.

    Attributes:
        path: The file; None when there is none and the environment alone is wrong.
        problems: All that is wrong.
    """

    def __init__(self, path: Path | None, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        count = len(self.problems)
        number = "One problem" if count == 1 else f"{count} problems"
        where = str(path) if path else "there is no hub.toml, only the environment"
        head = f"{number} in the settings ({where}):"
        super().__init__("\n".join([head, *map(str, self.problems)]))


def shown(value: Any, node: Node | None) -> str | None:
    """Return a value as an operator may see it, or None.

    Only plain values of known keys are shown, since nobody knows what stands under an unknown one.

    Args:
        value: As read from the file or the environment.
        node: The key it stands under.
    """
    if value is None or node is None or node.holds_secret or "PRIVATE KEY" in str(value):
        return None
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    text = re.sub(r"//[^/\s]*@", "//***@", text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def toml(value: Any) -> str:
    """Return a value as one writes it in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, (int, float)):
        return str(value)
    # JSON's strings are TOML's, but for DEL
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def nearest(key: Key) -> Node | None:
    """Return the known key that an unknown one was probably meant to be."""
    parent, name = TREE.find(key[:-1]), str(key[-1])
    for place in (parent, TREE):
        exact = [node for node in place.walk() if node.path[-1:] == (name,)] if place else []
        if len(exact) == 1:
            return exact[0]
    names: dict[str, Node] = {}
    for child in parent.children() if parent else ():
        last = child.path[-1]
        names |= {last: child, f"{last}_file": child} if child.is_secret else {last: child}
    near = get_close_matches(name, names, 1, cutoff=0.65)
    return names[near[0]] if near else None


def in_place(node: Node, key: Key) -> str:
    """Return a known key's name with the indices of the unknown key that it stands for."""
    if node.path[:-1] == tuple(part for part in key[:-1] if isinstance(part, str)):
        return key_name((*key[:-1], node.path[-1]))
    return node.name


def unknown(key: Key, data: Mapping[str, Any]) -> Problem:
    """Return the problem of a key that does not exist."""
    table, name = TREE.find(key[:-1]), key_name(key)
    known = TREE.find(key)
    if known is not None and table is not None:
        kinds = [kind for kind, keys in table.kinds.items() if str(key[-1]) in keys]
        kind = at(data, key[:-1]).get("kind", "directory")
        return Problem(
            name,
            None,
            f'unknown where kind is "{kind}"',
            f'It belongs to kind = "{kinds[0]}".',
        )
    near = nearest(key)
    if near is not None:
        guess = in_place(near, key)
        if near.is_secret and str(key[-1]).endswith("file"):
            guess += "_file"
        return Problem(name, None, f"unknown; did you mean {guess}?", "Rename it, or remove it.")
    names = ", ".join(child.path[-1] for child in table.children()) if table else ""
    where = f"[{key_name(key[:-1])}]" if len(key) > 1 else "The file"
    return Problem(name, None, "unknown", f"{where} knows {names}.")


def at(data: Any, key: Key) -> Any:
    """Return the value of a key in a tree of tables and lists, or None."""
    for part in key:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def explain(error: Mapping[str, Any], key: Key, data: Mapping[str, Any], source: str) -> Problem:
    """Return pydantic's error as a problem.

    Args:
        error: One of `ValidationError.errors()`.
        key: Where it is.
        data: All that was read.
        source: The environment variable that the value came from, or "".
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown(key, data)
    node = TREE.find(key)
    value = shown(at(data, key), node)
    fix = context.get("fix", "")
    if kind == "missing":
        message, value = "is missing", None
    elif kind == "union_tag_invalid":
        key = (*key, "kind")
        node, value = TREE.find(key), toml(context["tag"])
        kinds = TREE.find(key[:-1])
        message = "must be " + either([f'"{name}"' for name in (kinds.kinds if kinds else ())])
    elif kind == "string_too_short" or (kind == "too_short" and node and node.is_secret):
        message = "must not be empty"
    elif kind == "labhub":
        message = context["message"]
    elif node is not None and node.is_table and kind in ("model_type", "tuple_type"):
        of_list = node.many and kind == "tuple_type"
        message = "must be a list of tables" if of_list else "must be a table"
    else:
        words = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        message = _WORDS[kind].format(**words) if kind in _WORDS else error["msg"]
    return Problem(key_name(key), value, message, fix or _example(key, node, source), source)


def either(words: Sequence[str]) -> str:
    """Return words as a choice: a, b or c."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _example(key: Key, node: Node | None, source: str) -> str:
    """Return a line that would be right."""
    if node is None or not key:
        return ""
    if node.is_table:
        header = f"[[{node.name}]]" if node.many else f"[{node.name}]"
        return f"Write it as a table: {header}, and its keys below."
    if node.is_secret:
        name, variable = node.path[-1], node.environment[-1]
        return f"Put it in a file, chmod 600, and set {name}_file = FILE; or set {variable}."
    sample = node.sample
    if isinstance(key[-1], int):
        return f"Write it like {toml(sample[0])}."
    if source:
        return f"Write it like {source}={toml(sample)}"
    return f"Write it like {node.path[-1]} = {toml(sample)}"
