"""Who may import whom, and who may do what: the house as docs/architecture.md draws it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("hub_config", "authenticator", "spawner", "cli", "bench")
PURE = ("spawner.naming", "spawner.progress", "spawner.diagnosis")
DOING_IO = {"os", "pathlib", "socket", "subprocess", "requests", "urllib", "asyncio", "shutil"}


def files(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield dotted name, syntax tree of every module in some rooms."""
    for room in rooms:
        for path in sorted((PROJECT / room).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            parts = path.relative_to(PROJECT).with_suffix("").parts
            yield (
                ".".join(part for part in parts if part != "__init__"),
                ast.parse(path.read_text()),
            )


def imports(name: str, tree: ast.Module, *, is_package: bool = False) -> set[str]:
    """Return the dotted names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + is_package]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def imports_of(*rooms: str) -> Iterator[tuple[str, set[str]]]:
    for name, tree in files(*rooms):
        is_package = (PROJECT / name.replace(".", "/") / "__init__.py").exists()
        yield name, imports(name, tree, is_package=is_package)


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] in ROOMS}


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def test_settings_import_none_of_ours_but_themselves() -> None:
    found = [pair for pair in imports_of("hub_config") if within(pair[0], "hub_config.settings")]
    assert found
    for name, names in found:
        outside = {n for n in ours(names) if not within(n, "hub_config.settings")}
        assert outside <= {"hub_config"}, f"{name} imports {outside}"


def test_people_import_none_of_ours() -> None:
    names = dict(imports_of("hub_config"))["hub_config.people"]
    assert ours(names) == set()


@pytest.mark.parametrize(
    ("room", "other"), [("spawner", "authenticator"), ("authenticator", "spawner")]
)
def test_spawner_and_authenticator_do_not_know_each_other(room: str, other: str) -> None:
    for name, names in imports_of(room):
        assert not [each for each in names if within(each, other)], name


def test_nothing_imports_the_commands() -> None:
    """Nor the measurements, which use the commands and are used by one of them."""
    for name, names in imports_of("hub_config", "authenticator", "spawner"):
        assert not [each for each in names if within(each, "cli") or within(each, "bench")], name
    for name, names in imports_of("cli"):
        assert name == "cli.bench" or not [each for each in names if within(each, "bench")], name


@pytest.mark.parametrize("room", ["spawner", "authenticator"])
def test_wiring_is_imported_by_the_configuration_alone(room: str) -> None:
    for name, names in imports_of(room):
        assert not [each for each in names if within(each, "hub_config.wiring")], name


def test_only_wiring_writes_to_the_configuration() -> None:
    """`c.Class.trait = value` stands in hub_config/wiring.py and nowhere else in the hub; what is
    measured beside it has configurations of its own."""
    writers = {name for name, tree in files(*ROOMS) if writes_to_c(tree)}
    assert {name for name in writers if not within(name, "bench")} == {"hub_config.wiring"}
    assert not writes_to_c(ast.parse((PROJECT / "jupyterhub_config.py").read_text()))


def test_configuration_file_is_short() -> None:
    assert len((PROJECT / "jupyterhub_config.py").read_text().splitlines()) <= 20


def test_pure_modules_do_no_io() -> None:
    found = {name: names for name, names in imports_of("spawner") if name in PURE}
    assert set(found) == set(PURE)
    for name, names in found.items():
        assert not {each.split(".")[0] for each in names} & DOING_IO, name


def writes_to_c(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and first_name(node) == "c"
        for node in ast.walk(tree)
    )


def first_name(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def test_these_tests_can_fail() -> None:
    """The reading of imports itself, on made-up modules."""
    tree = ast.parse("from . import a\nfrom ..x import b\nimport cli.up\ndef f():\n import spawner")
    names = imports("hub_config.settings.base", tree)
    assert {"hub_config.settings.a", "hub_config.x.b", "cli.up", "spawner"} <= names
    assert writes_to_c(ast.parse("c.JupyterHub.port = 1"))
    assert not writes_to_c(ast.parse("x = c.JupyterHub.port"))
