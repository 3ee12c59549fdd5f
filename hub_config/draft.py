"""Settings on their way to being valid.

One wrong value hides what other checks would say. So wrong values are replaced by right ones and
the rest is checked with those; what involves a replaced value is not complained about twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hub_config import environment, files
from hub_config.problems import Problem, at, explain, nearest, shown
from hub_config.settings import Finding, Key, Settings, conflicts, key_name
from hub_config.settings.keys import TREE, Node


@dataclass
class Draft:
    """What was read, and what is wrong with it.

    Attributes:
        file: Where they come from; None: nowhere.
        root: The folder that relative paths lie below.
        data: The tables.
        problems: What is wrong so far, each with its key.
        mended: Keys whose values were wrong; they hold right ones now.
        sources: The environment variables that values came from.
    """

    file: Path | None
    root: Path
    data: dict[str, Any] = field(default_factory=dict)
    problems: list[tuple[Key, Problem]] = field(default_factory=list)
    mended: list[Key] = field(default_factory=list)
    sources: dict[Key, str] = field(default_factory=dict)

    def sorted_problems(self) -> list[Problem]:
        """Return the problems in the order of the sections, then as they were found."""
        order = {child.path[0]: place for place, child in enumerate(TREE.children())}
        ranked = sorted(self.problems, key=lambda pair: order.get(str((*pair[0], "")[0]), -1))
        return [problem for _, problem in ranked]

    def lay_over(self, environ: Mapping[str, str]) -> None:
        """Put the values of the environment over those of the file."""
        for problem in environment.unknown(environ):
            self.problems.append(((), problem))
        for node, name, value in environment.given(environ):
            table = self._table(node.path[:-1])
            if table is not None:
                table[node.path[-1]] = value
                self.sources[node.path] = name

    def put_secrets_in(self, environ: Mapping[str, str]) -> None:
        """Read each secret from its place, and refuse places that others can read."""
        for node in environment.SECRETS:
            try:
                secret, source = self._secret(node, environ)
            except _SecretRefused as error:
                self.problems.append((node.path, error.problem))
                secret, source = "-", ""
                self.mended.append(node.path)
            if secret is not None:
                table = self._table(node.path[:-1])
                if table is not None:
                    table[node.path[-1]] = secret
                    table.pop(f"{node.path[-1]}_file", None)
                    self.sources[node.path] = source

    def _table(self, path: tuple[str, ...]) -> dict[str, Any] | None:
        """Return a table, made when missing; None when something else stands in its place."""
        table: Any = self.data
        for name in path:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                return None
        return table  # type: ignore[no-any-return]  # TOML's tables

    def _secret(self, node: Node, environ: Mapping[str, str]) -> tuple[Any, str]:
        """Return a secret and the variable it came from; (None, "") when it is not given.

        Raises:
            _SecretRefused: it is given twice, or its file is refused.
        """
        name = node.environment[-1]
        text, file = environ.get(name), environ.get(f"{name}_FILE")
        if text and file:
            raise _SecretRefused(node, f"{name} and {name}_FILE are both set", "Unset one of them.")
        if text:
            return text.strip(), name
        if file:
            return self._from_file(node, file, f"{name}_FILE"), f"{name}_FILE"
        table = at(self.data, node.path[:-1])
        table = table if isinstance(table, dict) else {}
        key, key_file = node.path[-1], f"{node.path[-1]}_file"
        if key in table and key_file in table:
            raise _SecretRefused(node, f"is set, and so is {key_file}", f"Keep {key_file}.")
        if key_file in table:
            return self._from_file(node, table[key_file], ""), ""
        if key in table and self.file and files.others_can_read(self.file):
            raise _SecretRefused(
                node,
                f"stands in {self.file.name}, which others can read",
                f"Run: chmod 600 {self.file}; or put it in a file of its own and set {key_file}.",
            )
        return table.get(key), ""

    def _from_file(self, node: Node, name: Any, source: str) -> str:
        if not isinstance(name, str) or not name:
            raise _SecretRefused(
                node,
                "must be a path, in quotes",
                f'Write it like {node.path[-1]}_file = "FILE"',
                source,
                "_file",
            )
        try:
            return files.read_secret(Path(self.root, Path(name).expanduser()))
        except (files.FileRefused, RuntimeError, ValueError) as error:
            # the path is not shown unless it exists: people put the secret itself there
            refused = error if isinstance(error, files.FileRefused) else None
            message = refused.message if refused else "names a file that is not there"
            fix = refused.fix if refused else "Correct the path."
            if "not there" in message and self.file:
                fix += f" Relative ones begin at {self.root}."
            raise _SecretRefused(node, message, fix, source, "_file") from None

    def validate(self) -> Settings | None:
        """Return the settings; adds all that is wrong to the problems.

        Even where something is wrong settings may come out, with right values in its place.
        """
        settings, errors = self._try()
        for error in errors:
            key = TREE.without_tags(error["loc"])
            source = self.sources.get(key, "")
            self.problems.append((key, explain(error, key, self.data, source)))
        if errors:
            before = deepcopy(self.data)
            for error in errors:
                self._mend(TREE.without_tags(error["loc"]), error["type"])
            settings, _ = self._try()
            self.data = before
        if settings is not None:
            self._check(conflicts(settings))
            self._check(files.look(settings, self.root))
        return settings

    def _try(self) -> tuple[Settings | None, list[Any]]:
        context = {"root": self.root, "checks_later": True}
        try:
            return Settings.model_validate(self.data, context=context), []
        except ValidationError as error:
            # a default that rests on a wrong section is not made, which is no error of its own
            made = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
            return None, made

    def _check(self, findings: Iterable[Finding]) -> None:
        """Keep the findings that do not rest on a value already known to be wrong."""
        for finding in findings:
            keys = (finding.key, *finding.involves)
            if any(_related(key, mended) for key in keys for mended in self.mended):
                continue
            value = shown(at(self.data, finding.key), TREE.find(finding.key))
            source = self.sources.get(finding.key, "")
            problem = Problem(finding.name, value, finding.message, finding.fix, source)
            self.problems.append((finding.key, problem))

    def _mend(self, key: Key, kind: str) -> None:
        """Put a right value in the place of a wrong one."""
        self.mended.append(key)
        if kind == "extra_forbidden" and (near := nearest(key)):
            self.mended.append(near.path)
        parent, last = at(self.data, key[:-1]), key[-1]
        node = TREE.find(key)
        if isinstance(parent, list) and isinstance(last, int) and node is not None:
            if node.is_table:
                parent[last] = _sample_table(node)
            else:
                self._mend(key[:-1], "")
        elif isinstance(parent, dict) and isinstance(last, str):
            if node is not None and node.is_required and kind != "extra_forbidden":
                parent[last] = node.sample
            else:
                parent.pop(last, None)


def _sample_table(node: Node) -> dict[str, Any]:
    """Return a table of the first kind that has all it needs."""
    keys = next(iter(node.kinds.values()))
    return {name: child.sample for name, child in keys.items() if child.is_required}


def _related(one: Key, other: Key) -> bool:
    """Tell whether one key is the other or lies beneath it."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


class _SecretRefused(Exception):
    """A secret's place is refused."""

    def __init__(self, node: Node, message: str, fix: str, source: str = "", end: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(key_name(node.path) + end, None, message, fix, source)
