"""`hub.toml`, the environment and secret files, made into Settings; or all that is wrong, in words.

The way: read the file, lay the environment over it, put the secrets in from their files, validate
(`draft.py`). Nothing else in labhub reads settings.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub_config.draft import Draft
from hub_config.problems import Problem, SettingsError
from hub_config.settings import Settings

__all__ = ["Problem", "SettingsError", "find_file", "load_settings"]

PROJECT_FOLDER = Path(__file__).resolve().parent.parent


def load_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Load the settings.

    Args:
        path: The file. None: what LABHUB_CONFIG names, else `hub.toml` beside
            `jupyterhub_config.py`, else no file: the defaults, and with them demo mode.
        environ: The environment.

    Raises:
        SettingsError: with all that is wrong.
    """
    file = find_file(path, environ)
    draft = Draft(file, file.parent if file else PROJECT_FOLDER)
    draft.data = _read(file) if file else {}
    draft.lay_over(environ)
    draft.put_secrets_in(environ)
    settings = draft.validate()
    if draft.problems or settings is None:
        raise SettingsError(file, draft.sorted_problems())
    return settings


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file to read, absolute; None when there is none and none is wanted."""
    named = path or (Path(environ["LABHUB_CONFIG"]) if environ.get("LABHUB_CONFIG") else None)
    if named is not None:
        return Path(os.path.abspath(os.path.expanduser(named)))  # noqa: PTH100, PTH111 (never fails)
    default = PROJECT_FOLDER / "hub.toml"
    return default if os.path.lexists(default) else None


def _read(file: Path) -> dict[str, Any]:
    """Return a TOML file's tables.

    Raises:
        SettingsError: it is missing or not TOML.
    """

    def refuse(message: str, fix: str, place: str = "") -> SettingsError:
        return SettingsError(file, [Problem(place, None, message, fix)])

    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise refuse(
            "There is no such file.", "Correct the path, or copy hub.example.toml there."
        ) from None
    except OSError as error:
        raise refuse(
            f"The file cannot be read: {error.strerror}.", "Correct its path, owner or mode."
        ) from None
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise refuse("The file is not UTF-8 text.", "Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise refuse(*_syntax(str(error))) from None


_SYNTAX = (
    ("overwrite|Cannot declare|[Dd]uplicate|Cannot mutate|Cannot redefine", "is set twice",
     "Keep one of them; lists of tables have two brackets: [[profile]]."),
    ("declaration", "is the name of a table that does not end",
     "Write it like [hub] or [[profile]]."),
    ("Unclosed", "is a list or table that does not end", "Close it with ] or }."),
    ("Expected '='|Invalid statement", "is not a setting: NAME = VALUE",
     'Write it like title = "My hub"'),
    ("Invalid value", "is a value that cannot be read",
     'Text needs quotes: title = "My hub"; yes and no are true and false.'),
    ("after a statement", "has something after the end of a setting",
     "Write each setting on its own line, and its text in quotes."),
    (r"Illegal character '\\n'|Unterminated|^Expected", "is a text that does not end",
     "Close its quotes on the same line."),
    ("Illegal character", "has a control character", "Remove it."),
    ("Unescaped|backslash|escape", "has a backslash that means nothing", "Write \\\\ for \\."),
)  # fmt: skip


def _syntax(text: str) -> tuple[str, str, str]:
    """Return message, fix and place of a TOML error; the line's own text is never shown."""
    message, fix = "is not TOML", "See hub.example.toml."
    for pattern, its_message, its_fix in _SYNTAX:
        if re.search(pattern, text):
            message, fix = its_message, its_fix
            break
    place = re.search(r"at line (\d+), column (\d+)", text)
    where = f"line {place[1]}, column {place[2]}" if place else "the end of the file"
    return message, fix, where
