"""`hub.example.toml` and `docs/settings.md`, written from the model of the settings.

Pure but for `main()`, which rewrites both files: `python -m hub_config.reference`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr

from hub_config.problems import either, toml
from hub_config.settings.keys import TREE, Node

PROJECT_FOLDER = Path(__file__).resolve().parent.parent

_WIDTH = 96

_EXAMPLE_HEAD = """\
# All settings of labhub, each with its default.
#
# Copy this file to hub.toml, beside jupyterhub_config.py, and keep what you change. Without a
# hub.toml the hub is in demo mode: on this machine only, with three generated logins.
#
# Lines like "#key = value" are settings that have no default; they show how one is written.
# Relative paths begin at the folder of hub.toml. `./labhub check-config` says what is wrong.
"""

_PAGE_HEAD = """\
# Settings

This page is written from the model of the settings by `python -m hub_config.reference`, and so is
`hub.example.toml`.

- Settings are in `hub.toml` beside `jupyterhub_config.py`, or in the file that `LABHUB_CONFIG` or
  `--config` names. Without a file the hub is in demo mode: on this machine only, with three
  generated logins.
- A single value can also come from the environment, under the name in the last column. The
  environment wins over the file; of two names the last one wins. An empty variable counts as not
  set.
- A secret `KEY` can also come from a file that only its owner can read (`chmod 600`): set
  `KEY_file`, or the environment name with `_FILE` at its end. A `hub.toml` that holds a secret
  itself must be closed to others too.
- Relative paths begin at the folder of `hub.toml`.
- Unknown keys are refused. `./labhub check-config` tells all that is wrong at once.
- `[[profile]]` and `[[share]]` may stand several times. Who writes one replaces the default ones.
"""


def example_toml() -> str:
    """Return the text of `hub.example.toml`."""
    lines = [_EXAMPLE_HEAD.rstrip()]
    for section in TREE.children():
        lines += ["", *_prose(_description(section))]
        if section.many:
            for values in _default_tables(section):
                kind = values.get("kind", next(iter(section.kinds)))
                lines += _table(section, section.kinds[kind], values)
        else:
            lines += _table(section, next(iter(section.kinds.values())))
        for kind in list(section.kinds)[1:]:
            about = section.kinds[kind]["kind"]
            lines += ["", *_prose(f"Another kind: {_lower(_description(about))}")]
            lines += _table(section, section.kinds[kind], hidden=True)
    return "\n".join(lines) + "\n"


def _default_tables(section: Node) -> list[dict[str, Any]]:
    """Return the tables that a list of tables has by default."""
    if section.field is None:
        return []
    default: list[dict[str, Any]] = section.field.get_default(
        call_default_factory=True, validated_data={}
    )
    return default


def _table(
    node: Node,
    keys: Mapping[str, Node],
    values: Mapping[str, Any] | None = None,
    hidden: bool = False,
) -> list[str]:
    """Return the lines of one table.

    Args:
        node: The table.
        keys: The keys of its kind.
        values: What stands there by default; None: the default of each key.
        hidden: Whether all of it is commented out.
    """
    mark = "#" if hidden else ""
    lines = [mark + (f"[[{node.name}]]" if node.many else f"[{node.name}]")]
    below: list[str] = []
    for name, child in sorted(keys.items(), key=_name_and_kind_first):
        if child.is_table:
            optional = hidden or not _has_default(child)
            below += ["", *_prose(_description(child))]
            below += _table(child, next(iter(child.kinds.values())), hidden=optional)
            continue
        lines += _prose(_description(child))
        lines.append(_line(child, (values or {}).get(name), mark))
    return lines + below


def _name_and_kind_first(item: tuple[str, Node]) -> int:
    return {"name": 0, "kind": 1}.get(item[0], 2)


def _has_default(node: Node) -> bool:
    return node.field is not None and node.field.default_factory is not None


def _line(node: Node, value: Any, mark: str) -> str:
    """Return one setting: with its value, its default, or commented out with an example."""
    name = node.path[-1]
    if node.is_secret:
        return f'#{name}_file = "secrets/{"-".join(node.path[-2:]).replace("_", "-")}"'
    if value is None and node.field is not None and not node.is_required:
        value = node.field.default
    if value is None:
        return f"#{name} = {toml(node.sample)}"
    return f"{mark}{name} = {toml(value)}"


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _description(node: Node) -> str:
    return (node.field.description if node.field else None) or ""


def settings_page() -> str:
    """Return the text of `docs/settings.md`."""
    lines = [_PAGE_HEAD]
    for node in TREE.walk():
        if not node.is_table or not node.path:
            continue
        header = f"[[{node.name}]]" if node.many else f"[{node.name}]"
        lines += [f"## `{header}`", "", _description(node), ""]
        rows = [(c.path[-1], c) for c in node.children() if not c.is_table]
        if rows:
            lines += [
                "| key | type | default | what it is | environment |",
                "|---|---|---|---|---|",
                *(_row(node, row) for _, row in sorted(rows, key=_name_and_kind_first)),
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def _row(table: Node, node: Node) -> str:
    name, description = node.path[-1], _description(node)
    kinds = [kind for kind, keys in table.kinds.items() if name in keys]
    if name == "kind":
        abouts = [_description(table.kinds[kind][name]).rstrip(".") for kind in kinds]
        choices = either([f'`"{kind}"`' for kind in kinds])
        description = "; ".join(
            f"{kind}: {_lower(about)}" for kind, about in zip(kinds, abouts, strict=True)
        )
        cells = [choices, f"`{toml(kinds[0])}`", description + "."]
    else:
        if len(kinds) < len(table.kinds):
            description = f"Kind {either(kinds)}: {_lower(description)}"
        cells = [_type(node), _default(node), description]
    variables = [*node.environment]
    variables += [f"{variable}_FILE" for variable in variables if node.is_secret]
    cells.append(", ".join(f"`{variable}`" for variable in variables))
    return " | ".join([f"| `{name}`", *cells]) + " |"


def _default(node: Node) -> str:
    if node.field is None or node.is_required:
        return "required"
    return "not set" if node.field.default is None else f"`{toml(node.field.default)}`"


def _type(node: Node) -> str:
    """Return in words what a key takes."""
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    words |= {Path: "path", SecretStr: "secret"}
    annotation = node.field.annotation if node.field else None
    if get_origin(annotation) is Literal:
        return either([f'`"{choice}"`' for choice in get_args(annotation)])
    text = words[node.types[0]]
    text = f"list of {text}" if node.many else text
    return ", ".join([text, *_bounds(node)])


def _bounds(node: Node) -> Iterator[str]:
    found: dict[type, Any] = {}
    for part in node.field.metadata if node.field else ():
        for kind, name in ((Ge, "ge"), (Gt, "gt"), (Le, "le"), (Lt, "lt")):
            if isinstance(part, kind):
                found[kind] = getattr(part, name)
    if Ge in found and Le in found:
        yield f"{found[Ge]} to {found[Le]}"
        return
    if Ge in found:
        yield f"{found[Ge]} or more"
    if Gt in found:
        yield f"more than {found[Gt]}"
    if Le in found:
        yield f"{found[Le]} at most"
    if Lt in found:
        yield f"less than {found[Lt]}"


def main() -> None:
    """Rewrite both files."""
    (PROJECT_FOLDER / "hub.example.toml").write_text(example_toml())
    (PROJECT_FOLDER / "docs" / "settings.md").write_text(settings_page())


if __name__ == "__main__":
    main()
