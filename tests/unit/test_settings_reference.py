"""`hub.example.toml` and `docs/settings.md` say what the model says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub_config import reference
from hub_config.loading import load_settings
from hub_config.settings import Settings
from hub_config.settings.keys import TREE

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = (PROJECT / "hub.example.toml").read_text()


def test_the_files_are_up_to_date():
    """Who changes the model runs `python -m hub_config.reference`."""
    assert reference.example_toml() == EXAMPLE
    assert reference.settings_page() == (PROJECT / "docs" / "settings.md").read_text()


def test_the_example_is_the_defaults(tmp_path: Path):
    """Copied as it is, it changes nothing."""
    (tmp_path / "hub.toml").write_text(EXAMPLE)
    (tmp_path / "empty.toml").write_text("")
    copied = load_settings(tmp_path / "hub.toml", {})
    assert copied == load_settings(tmp_path / "empty.toml", {})
    assert copied == Settings.model_validate({}, context={"root": tmp_path})


def test_the_example_and_the_page_show_every_key():
    """No setting is only in the code."""
    page = (PROJECT / "docs" / "settings.md").read_text()
    for node in TREE.walk():
        if not node.path:
            continue
        name = node.path[-1]
        if node.is_table:
            header = re.escape(f"[[{node.name}]]" if node.many else f"[{node.name}]")
            assert re.search(rf"^#?{header}$", EXAMPLE, re.MULTILINE), node.name
            assert re.search(rf"^## `{header}`$", page, re.MULTILINE), node.name
        else:
            key = f"{name}_file" if node.is_secret else name
            assert re.search(rf"^#?{key} = ", EXAMPLE, re.MULTILINE), node.name
            assert f"| `{name}` |" in page
        for variable in node.environment:
            assert f"`{variable}`" in page


def uncommented(*headers: str) -> str:
    """Return the example with the commented-out tables of these headers switched on."""
    lines, on = [], False
    for line in EXAMPLE.splitlines():
        if re.match(r"#?\[", line):
            on = line.lstrip("#") in headers and line.startswith("#")
        switched = on and re.match(r"#(\[|[a-z_]+ = )", line)
        lines.append(line[1:] if switched else line)
    return "\n".join(lines)


def test_the_commented_sign_in_is_right(tmp_path: Path):
    """Who removes the # signs and writes the secret has a working sign-in."""
    (tmp_path / "hub.toml").write_text(uncommented("[login.github]", "[login.github.teams]"))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "github-client-secret").touch(0o600)
    (tmp_path / "secrets" / "github-client-secret").write_text("s")
    github = load_settings(tmp_path / "hub.toml", {}).login.github
    assert github is not None
    assert github.organization == "my-course"


@pytest.mark.parametrize("kind", ["nfs", "volume"])
def test_the_commented_shares_are_right(tmp_path: Path, kind: str):
    """Each other kind of share can be switched on."""
    tables = uncommented("[[share]]").split("[[share]]")[1:]
    table = next(table for table in tables if f'\nkind = "{kind}"' in table).split("\n\n")[0]
    (tmp_path / "hub.toml").write_text(f"[[share]]{table}")
    assert load_settings(tmp_path / "hub.toml", {}).share[0].kind == kind


def test_both_files_can_be_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The generator writes what it returns."""
    monkeypatch.setattr(reference, "PROJECT_FOLDER", tmp_path)
    (tmp_path / "docs").mkdir()
    reference.main()
    assert (tmp_path / "hub.example.toml").read_text() == EXAMPLE
