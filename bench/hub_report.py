"""The figures of `labhub bench hub` as Markdown, and what follows from them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Size = dict[str, Any]
Row = tuple[str, Callable[[Size], str]]

ADOPTION_LIMIT_S = 10
"""JupyterHub's `init_spawners_timeout`: so long the hub waits for its servers before it answers."""


def table(figures: dict[str, Any]) -> str:
    """Return the results as Markdown: three tables and what would make them better.

    Args:
        figures: What `bench.hub.run` returned.
    """
    sizes = figures["sizes"]
    head = ["", *("no people" if not s["people"] else f"{s['people']:,} people" for s in sizes)]
    parts = [
        _opening(figures),
        "**A start**, medians, from the process's begin; proxy new, as after `./labhub up`.",
        _markdown(head, _rows(_START, sizes)),
        "**Pages**, through the proxy: median, and in parentheses the first answer after a start.",
        _markdown(head, _rows(_PAGES, sizes)),
        "**Memory and silence**. A silence is the longest time in which the hub answered nobody.",
        _markdown(head, _rows(_HUB, sizes)),
        "**What they would need to be better**",
        "\n".join(f"- {sentence}" for sentence in findings(figures)),
    ]
    return "\n\n".join(parts)


def _opening(figures: dict[str, Any]) -> str:
    servers, wanted = figures["servers"], figures["wanted_servers"]
    text = (
        f"The hub alone, with {servers} running stub servers (containers of a 2 MB image, all of "
        "them adopted at each start and polled) and SQLite. One person in 50 is a TA."
    )
    if servers < wanted:
        text += f" {wanted} were wanted; no more could be started in the time that is set for it."
    return text


# --- the tables -----------------------------------------------------------------------------------


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"


def _mib(value: float) -> str:
    return f"{value:.0f} MiB"


def _answer(times: dict[str, float]) -> str:
    return f"{_milliseconds(times['median_s'])} ({_milliseconds(times['first_s'])})"


def _start(name: str, unit: str) -> Callable[[Size], str]:
    show = _seconds if unit == "s" else _mib
    return lambda size: show(size["start"][name])


def _page(name: str) -> Callable[[Size], str]:
    return lambda size: _answer(size["pages"][name])


_START: Sequence[Row] = (
    ("the hub answers", _start("health_s", "s")),
    ("the login page comes through the proxy", _start("login_s", "s")),
    ("all servers are adopted", _start("adopted_s", "s")),
    ("  of it spent on the servers", _start("adopting_s", "s")),
    ("the proxy has all routes", _start("routed_s", "s")),
    ("processor time", _start("cpu_s", "s")),
    ("starts measured", lambda size: f"{size['start']['starts']:.0f}"),
)
_PAGES: Sequence[Row] = (
    ("sign-in, the form sent", lambda size: _answer(size["sign_in"])),
    ("`/hub/home`", _page("home")),
    ("`/hub/spawn`", _page("spawn")),
    ("`/hub/admin`", _page("admin")),
    ("its list, first 50 people", _page("list, first page")),
    ("its list, last 50 people", _page("list, last page")),
    ("its list, filtered by name", _page("list, by name")),
    ("its list, first 50 people, for a TA", _page("list, of a TA")),
    ("API: the active servers", _page("active servers")),
)
_HUB: Sequence[Row] = (
    ("memory (PSS) after the start", _start("pss_mib", "MiB")),
    ("memory (PSS) after all pages", lambda size: _mib(size["memory"]["pss_mib"])),
    ("an admin turns all pages of the list", lambda size: _seconds(size["walk"]["seconds"])),
    ("longest silence meanwhile", lambda size: _milliseconds(size["walk"]["silence_s"])),
    ("processor time of a quiet minute", lambda size: _seconds(size["quiet"]["cpu_per_minute_s"])),
    ("longest silence meanwhile", lambda size: _milliseconds(size["quiet"]["silence_s"])),
)


def _rows(rows: Sequence[Row], sizes: Sequence[Size]) -> list[list[str]]:
    """Return the texts of rows; what was not measured for a size is a dash."""
    found = []
    for title, show in rows:
        cells = [title]
        for size in sizes:
            try:
                cells.append(show(size))
            except KeyError:
                cells.append("–")
        found.append(cells)
    return found


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# --- what follows ---------------------------------------------------------------------------------


def findings(figures: dict[str, Any]) -> list[str]:
    """Return what dominates and what would change it, each with the figure it follows from.

    Args:
        figures: What `bench.hub.run` returned; the first size is the empty hub.
    """
    empty, smaller, largest = figures["sizes"][0], figures["sizes"][-2], figures["sizes"][-1]
    return [
        _of_imports(figures["imports"], empty, largest),
        _of_adoption(largest),
        _of_rows(smaller, largest),
        _of_lists(largest),
        _of_memory(empty, largest),
        _of_polls(largest),
    ]


def _of_imports(imports: dict[str, float], empty: Size, largest: Size) -> str:
    saved = imports["all_s"] - imports["without_grammar_s"]
    share = empty["start"]["cpu_s"] / largest["start"]["cpu_s"]
    text = (
        f"Start, the program itself: {_seconds(empty['start']['cpu_s'])} of processor time without "
        f"people and servers, {share:.0%} of what a start with {largest['people']:,} takes. "
        f"Importing JupyterHub is {_seconds(imports['all_s'])} of it"
    )
    if saved < 0.1:
        return f"{text}. There is nothing large left to leave out."
    return (
        f"{text}, and {_seconds(imports['without_grammar_s'])} where `rfc3987-syntax` is not "
        "installed: the package, which nothing here needs, builds a grammar when it is imported. "
        "To be left out of the hub's own lock."
    )


def _of_adoption(largest: Size) -> str:
    start, servers = largest["start"], largest["servers"]
    adopting_s = start["adopting_s"]
    each_ms = adopting_s * 1000 / max(servers, 1)
    reach = int(ADOPTION_LIMIT_S * 1000 / each_ms) if servers else 0
    return (
        f"Start, running servers: {each_ms:.0f} ms for each. Of the {_seconds(start['routed_s'])} "
        f"of a whole start {_seconds(start['cpu_s'])} are the hub's processor time. A profiler "
        "shows where it goes: JupyterHub loads each server's owner by several queries, one server "
        "after the other, and then asks each server once whether it answers. "
        f"`init_spawners_timeout` ({ADOPTION_LIMIT_S} s) is reached at about {reach:,} servers: "
        "from there on the hub answers before all are adopted. Set to 1 it would answer at most "
        f"{_seconds(max(0.0, adopting_s - 1))} sooner here, and tell those people that their "
        "server is pending: not worth it."
    )


def _of_rows(smaller: Size, largest: Size) -> str:
    more = largest["start"]["cpu_s"] - smaller["start"]["cpu_s"]
    each = max(0.0, more) / (largest["people"] - smaller["people"]) * 1000
    return (
        f"Start, people: {_seconds(each)} of processor time for every 1,000, since JupyterHub "
        "reads every user row with its roles and groups when it starts. No setting changes that; "
        "deleting people who left does. Another database would not help: SQLite itself gives all "
        f"{largest['people']:,} rows in {_milliseconds(largest['rows_read_s'])}, the rest is "
        "JupyterHub's work in Python."
    )


def _of_lists(largest: Size) -> str:
    page, active = largest["pages"]["list, first page"], largest["pages"]["active servers"]
    return (
        f"Lists: 50 people take {_milliseconds(page['median_s'])}, {largest['servers']} active "
        f"servers {_milliseconds(active['median_s'])}, and nobody else is answered meanwhile, as "
        "the hub has one thread. It hardly grows with the number of people, but with the number of "
        "rows asked for: `api_page_default_limit` (50) and `api_page_max_limit` (200) should stay "
        "as they are, and programs that ask should page."
    )


def _of_memory(empty: Size, largest: Size) -> str:
    rows = largest["start"]["pss_mib"] - empty["start"]["pss_mib"]
    kept = largest["walk"]["more_mib"] * 1024 / largest["people"]
    return (
        f"Memory: {_mib(rows)} more after the start than the empty hub, and {kept:.0f} KiB for "
        "each person whom somebody has seen in the admin page's list: JupyterHub keeps them until "
        "it is restarted."
    )


def _of_polls(largest: Size) -> str:
    quiet = largest["quiet"]
    return (
        f"Running servers cost the hub {_seconds(quiet['cpu_per_minute_s'])} of processor time a "
        "minute, its own timers included: each is looked at every 30 s (`Spawner.poll_interval`), "
        f"spread by chance, and the longest silence is {_milliseconds(quiet['silence_s'])}. "
        "A longer interval would save little and notice a server's end later."
    )
