"""What `labhub bench` makes of measured times, and where it keeps it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bench.client import Event, Start, read_event
from bench.figures import ratio, spread
from bench.report import HEAD, Report, Table, as_markdown, replace_part
from bench.standby import hook_seconds, ready_standbys
from bench.storm import Storm
from cli.steps import Steps

TABLE = Table("One start", ("what", "median"), (["labhub | cold", "1.20 s"],), ("A note.",))


def test_spread_is_median_and_ends() -> None:
    found = spread([3.0, 1.0, 2.0004])
    assert (found["median"], found["min"], found["max"]) == (2.0, 1.0, 3.0)
    assert found["values"] == [3.0, 1.0, 2.0]


def test_ratio_is_of_the_medians() -> None:
    """One round that a busy machine made slow does not decide."""
    assert ratio([1.0, 1.0, 50.0], [4.0, 4.0, 4.0]) == 0.25


def test_each_measurement_replaces_its_own_part() -> None:
    text = replace_part(replace_part(HEAD, "start", "old start"), "hub", "the hub")
    again = replace_part(text, "start", "new start")
    assert "old start" not in again
    assert "the hub" in again
    assert again.index("new start") < again.index("the hub")
    assert again.startswith(HEAD.rstrip())


def test_a_broken_part_loses_nothing() -> None:
    """Where the end marker is gone the part is added anew: the rest may be another's."""
    text = "<!-- begin start -->\nfigures of somebody"
    again = replace_part(text, "start", "new")
    assert "figures of somebody" in again
    assert again.endswith("<!-- end start -->\n")


def test_table_in_markdown() -> None:
    assert as_markdown(TABLE).splitlines() == [
        "**One start**",
        "",
        "| what | median |",
        "|---|---:|",
        "| labhub \\| cold | 1.20 s |",
        "",
        "A note.",
    ]


def test_what_is_shown_is_kept_with_date_and_versions(tmp_path: Path) -> None:
    console = Console(width=100, record=True)
    report = Report(Steps(console), {"jupyterhub": "6.1.1"}, results=tmp_path / "results.md")
    with console.capture() as shown:
        report.show("start", TABLE)
    kept = report.results.read_text()
    assert f"{report.date}; jupyterhub 6.1.1." in kept
    assert "1.20 s" in kept
    assert "1.20 s" in shown.get()


def test_only_data_lines_are_events() -> None:
    assert read_event(b'data: {"progress": 5, "stage": "queue"}') == {
        "progress": 5,
        "stage": "queue",
    }
    assert read_event(b"") is None
    assert read_event(b": keepalive") is None
    assert read_event(b'{"status": 404}') is None


def start(
    *stages: tuple[float, str], began: float = 0, seconds: float = 9, **more: object
) -> Start:
    made = Start("anna", began=began, seconds=seconds, **more)  # type: ignore[arg-type]
    made.events = [Event(at_s, {"stage": stage}) for at_s, stage in stages]
    return made


def test_storm_lasts_from_the_first_request_to_the_last_server() -> None:
    storm = Storm([start(began=10, seconds=5), start(began=11, seconds=3)])
    assert storm.seconds == 5


def test_who_waited_without_a_place_is_counted() -> None:
    at_once = start((2.0, "home"), (2.1, "image"), (2.2, "container"))
    told = start((0.1, "home"), (0.2, "image"), (0.2, "queue"), (4.0, "container"))
    untold = start((0.1, "home"), (0.2, "image"), (4.0, "container"))
    stuck = start((0.1, "home"), (0.2, "image"))
    storm = Storm([at_once, told, untold, stuck])
    assert storm.saw_place == 1
    assert storm.waited_untold == 2


def test_refusals_are_counted_among_the_failures() -> None:
    storm = Storm([start(status=429, failure="429: too many"), start(status=201)])
    assert storm.refused == 1
    assert storm.failed == ["429: too many"]


def test_hooks_time_is_theirs_alone() -> None:
    """Other steps of the chain, and a hook's beginning, do not count."""
    lines = [
        '{"step": "account", "state": "done", "seconds": 5.0}',
        '{"step": "as-root", "state": "running", "seconds": 0.0}',
        '{"step": "as-root", "state": "done", "seconds": 0.25}',
        '{"step": "as-user", "state": "done", "seconds": 0.5}',
    ]
    assert hook_seconds(lines) == 0.75


def test_standbys_are_those_that_are_ready_and_nobodys(tmp_path: Path) -> None:
    ready = '{"version": 1, "memory_kib": 2048}'
    for name in ("standby_waits", "standby_claimed", "standby_imports", "standby_writes", "anna"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ready.json").write_text(ready)
    (tmp_path / "standby_claimed" / "claimed").touch()
    (tmp_path / "standby_imports" / "ready.json").unlink()
    (tmp_path / "standby_writes" / "ready.json").write_text(ready[:6])
    assert ready_standbys(tmp_path) == [2048]
