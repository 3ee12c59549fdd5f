"""Wrong settings files: each is refused with all that is wrong, in words, and with no secret.

A file begins with comments: `problem:` a fragment of one problem's text (as many as there are
problems), `fix:` a fragment that stands anywhere, `environment:` a variable that is set. Secrets in
the files are all `CANARY`.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest

from hub_config.loading import SettingsError, load_settings

FILES = sorted((Path(__file__).parent / "wrong_settings").glob("*.toml"))


def marked(text: str, mark: str) -> list[str]:
    return re.findall(rf"^# {mark}: (.*)$", text, re.MULTILINE)


def test_there_are_at_least_thirty():
    """The milestone asks for thirty wrong files."""
    assert len(FILES) >= 30


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_refused_with_all_its_errors(file: Path, tmp_path: Path):
    """Every expected problem is told, none besides, each with a next step, and no secret."""
    text = file.read_text()
    hub_toml = tmp_path / "hub.toml"
    hub_toml.write_text(text)
    hub_toml.chmod(0o600)
    environ = dict(line.split("=", 1) for line in marked(text, "environment"))

    with pytest.raises(SettingsError) as caught:
        load_settings(hub_toml, environ)

    error = caught.value
    told = [str(problem) for problem in error.problems]
    for fragment in marked(text, "problem"):
        match = next((one for one in told if fragment in one), None)
        assert match is not None, f"not told: {fragment}\ntold: {error}"
        told.remove(match)
    assert not told, "told besides:\n" + "\n".join(told)
    for fragment in marked(text, "fix"):
        assert fragment in str(error)
    assert str(hub_toml) in str(error)
    assert all(problem.fix for problem in error.problems), str(error)
    for form in (str(error), repr(error), repr(error.problems), *traceback.format_exception(error)):
        assert "CANARY" not in form
