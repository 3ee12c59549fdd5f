"""The locks: complete, hashed, free of hosts, and in keeping with what we ask for and import."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli import PROJECT_FOLDER

LOCKS = ("requirements.lock", "requirements-test.lock")
PROXY = PROJECT_FOLDER / "cli" / "proxy"
OURS = ("hub_config", "authenticator", "spawner", "cli")
PARTS_OF_PYDANTIC = {"annotated_types", "pydantic_core"}


def locked(name: str) -> dict[str, str]:
    """Return package -> version."""
    text = (PROJECT_FOLDER / name).read_text()
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE)
    return {str(canonicalize_name(package)): version for package, version in found}


def declared(group: str = "") -> list[Requirement]:
    project = tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text())
    lines = project["dependency-groups"][group] if group else project["project"]["dependencies"]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_host_and_no_path(name: str) -> None:
    text = (PROJECT_FOLDER / name).read_text()
    assert "://" not in text
    assert not re.search(r"(^|\s)(-i|-f|-e|--index-url|--extra-index-url|--find-links)\b", text)
    assert str(PROJECT_FOLDER) not in text


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes(name: str) -> None:
    text = (PROJECT_FOLDER / name).read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert len(packages) == len(locked(name)) > 20
    assert all("--hash=sha256:" in line for line in packages)


@pytest.mark.parametrize(
    ("name", "groups"), [("requirements.lock", [""]), ("requirements-test.lock", ["", "test"])]
)
def test_lock_satisfies_what_is_declared(name: str, groups: list[str]) -> None:
    versions = locked(name)
    for requirement in [each for group in groups for each in declared(group)]:
        version = versions[str(canonicalize_name(requirement.name))]
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"


def test_tests_run_with_the_versions_of_the_hub() -> None:
    tested = locked("requirements-test.lock")
    assert {name: tested.get(name) for name in locked("requirements.lock")} == locked(
        "requirements.lock"
    )


def test_every_import_is_declared() -> None:
    """What we import we ask for ourselves, and do not leave to whoever happens to bring it."""
    asked = {str(canonicalize_name(requirement.name)) for requirement in declared()}
    packages = importlib.metadata.packages_distributions()
    for file, module in imported():
        if module in sys.stdlib_module_names or module in OURS or module in PARTS_OF_PYDANTIC:
            continue
        brought_by = {str(canonicalize_name(name)) for name in packages[module]}
        assert brought_by & asked, f"{file} imports {module}"


def test_lock_of_the_proxy_names_no_registry() -> None:
    text = (PROXY / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert "resolved" not in text
    assert all("integrity" in package for name, package in packages.items() if name)
    assert packages["node_modules/configurable-http-proxy"]["version"].startswith("5.")
    assert "omit-lockfile-registry-resolved=true" in (PROXY / ".npmrc").read_text().splitlines()


def imported() -> Iterator[tuple[Path, str]]:
    """Yield file, top-level module for every import of another package in our code."""
    for folder in OURS:
        for file in (PROJECT_FOLDER / folder).rglob("*.py"):
            if "node_modules" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names = [node.module]
                yield from ((file, name.split(".")[0]) for name in names)
