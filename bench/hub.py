"""`labhub bench hub`: what the hub itself costs when many people are known to it.

Nobody starts a server here. A hub of the bench's own finds 1,000 and then 5,000 people in its
database, and up to 200 of them with a running stub server, and is started as `./labhub up` starts
it: how long until it answers, how long its pages take, how much memory it needs, and how long it
answers nobody while it works.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.hub_people import add_people, add_servers
from bench.hub_probe import (
    PAGE_SIZE,
    Browser,
    longest_silence,
    memory_mib,
    processor_time_s,
    time_answers,
    time_start,
)
from bench.hub_report import table
from bench.hub_stage import Stage
from cli.errors import CommandError
from cli.processes import Process

SIZES = (1000, 5000)
SERVERS = 200
STARTS = 3
ANSWERS = 9
SIGN_INS = 7
SERVERS_LIMIT_S = 110.0
"""No stub server is begun later than this; what runs then is what is measured, and said."""
REPEAT_UNTIL_S = 200.0
"""On a slow machine starts are measured once from here on, so that the whole stays bounded."""
QUIET_S = 34.0
"""Long enough to see every server polled once (JupyterHub: every 30 s, and 10 % by chance)."""
IMPORTS = 3
GRAMMAR = "rfc3987_syntax"
"""A package that jsonschema imports when it is there, and does without when it is not."""

__all__ = ["run", "table"]


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the hub; takes about four minutes.

    Args:
        say: Told what happens, one line at a time.

    Returns:
        The figures: `servers` (how many stub servers ran), `wanted_servers`, and `sizes`, one entry
        per number of people, the first of them the empty hub; `imports`, the processor time to
        import the hub's program. Times in seconds, memory in MiB.

    Raises:
        CommandError: the hub or the engine did not do as it should.
    """
    begin = time.monotonic()
    repeat_until = begin + REPEAT_UNTIL_S
    with Stage() as stage:
        image_id = stage.servers.make_image()
        say("The hub's imports, then a hub without people")
        imports = _imports()
        sizes = [{"people": 0, "servers": 0, "start": _starts(stage, 0, repeat_until)}]
        stage.stop()
        known = servers = 0
        for size in SIZES:
            say(f"Writing {size:,} people")
            with stage.database() as db:
                students = add_people(stage.settings, stage.state, db, known, size)
                if not servers:
                    running = stage.servers.run(students[:SERVERS], SERVERS_LIMIT_S, say)
                    add_servers(stage.settings, stage.state, db, running, image_id)
                    servers = len(running)
            known = size
            say(f"Hub with {size:,} people and {servers} servers")
            is_last = size == SIZES[-1]
            start = _starts(stage, servers, repeat_until)
            figures = {"people": size, "servers": servers, "start": start}
            sizes.append(figures | _measure(stage, size, servers, with_quiet=is_last))
        say("Removing the servers")
    return {
        "servers": servers,
        "wanted_servers": SERVERS,
        "imports": imports,
        "sizes": sizes,
        "seconds": time.monotonic() - begin,
    }


def _measure(stage: Stage, people: int, servers: int, *, with_quiet: bool) -> dict[str, Any]:
    """Ask a running hub for its pages, and stop it.

    Raises:
        CommandError: a page does not show what it should.
    """
    figures: dict[str, Any] = {}
    hub = Process("hub", stage.state)
    with Browser(stage.settings.hub.url) as admin, Browser(stage.settings.hub.url) as ta:
        logins = json.loads(stage.state.demo_logins_file.read_text())
        figures["sign_in"] = _sign_ins(admin, logins["admin"])
        ta.sign_in(logins["ta"]["username"], logins["ta"]["password"])
        if with_quiet:
            figures["quiet"] = _quiet(stage, hub)
        figures["pages"] = _pages(admin, ta, people, servers)
        figures["walk"] = _walk(stage, hub, admin, people)
        figures["pages"]["home afterwards"] = time_answers(lambda: admin.get("hub/home"), ANSWERS)
        figures["memory"] = memory_mib(hub)
    stage.stop()
    figures["rows_read_s"] = stage.read_rows()
    return figures


def _starts(stage: Stage, servers: int, repeat_until: float) -> dict[str, float]:
    """Start the hub several times; it runs afterwards.

    Args:
        stage: The hub.
        servers: How many servers it has to adopt.
        repeat_until: When no other start is begun any more, on the monotonic clock.

    Returns:
        The median of each figure of `time_start`, and `starts`, how many there were.

    Raises:
        CommandError: not every server was adopted.
    """
    found: list[dict[str, float]] = []
    while not found or (len(found) < STARTS and time.monotonic() < repeat_until):
        stage.stop()
        found.append(time_start(stage.start, stage.hub_url, stage.settings.hub.url))
        if found[-1]["servers"] != servers:
            raise CommandError(f"The hub looked at {found[-1]['servers']:.0f} of {servers} servers")
    return {**medians(found), "starts": len(found)}


def medians(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over several runs."""
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def _sign_ins(browser: Browser, login: dict[str, str]) -> dict[str, float]:
    times = [browser.sign_in(login["username"], login["password"]) for _ in range(SIGN_INS)]
    return {"first_s": times[0], "median_s": statistics.median(times[1:])}


def _pages(admin: Browser, ta: Browser, people: int, servers: int) -> dict[str, dict[str, float]]:
    """Ask for each page as its reader's browser does; return `first_s` and `median_s` of each.

    Raises:
        CommandError: a page does not show what it should.
    """
    last = (people - 1) // PAGE_SIZE * PAGE_SIZE
    asked: dict[str, Callable[[], Any]] = {
        "home": lambda: admin.get("hub/home"),
        "spawn": lambda: admin.get("hub/spawn"),
        "admin": lambda: admin.get("hub/admin"),
        "list, first page": lambda: admin.ask(users_path(0)),
        "list, last page": lambda: admin.ask(users_path(last)),
        "list, by name": lambda: admin.ask(users_path(0, name_filter="student-09")),
        "list, of a TA": lambda: ta.ask(users_path(0)),
        "active servers": lambda: admin.ask("users?state=active&limit=200"),
    }
    found = {name: time_answers(ask, ANSWERS) for name, ask in asked.items()}
    ready = admin.ask("users?state=ready&limit=200")["items"]
    if len(ready) != servers:
        raise CommandError(f"{len(ready)} of {servers} servers are ready")
    return found


def users_path(offset: int, **filters: str) -> str:
    """Return what JupyterHub's admin page asks the API for: PAGE_SIZE people from `offset` on."""
    asked = {"name_filter": "", "sort": "id", "state": "", **filters}
    others = "&".join(f"{name}={value}" for name, value in asked.items())
    return f"users?include_stopped_servers=1&offset={offset}&limit={PAGE_SIZE}&{others}"


def _walk(stage: Stage, hub: Process, admin: Browser, people: int) -> dict[str, float]:
    """Turn all pages of the list once, as an admin may; return what that does to the hub."""
    before = memory_mib(hub)["pss_mib"]
    cpu_s, begin = processor_time_s(hub), time.monotonic()
    with longest_silence(stage.hub_url) as silence:
        for offset in range(0, people, PAGE_SIZE):
            admin.ask(users_path(offset))
    return {
        "seconds": time.monotonic() - begin,
        "cpu_s": processor_time_s(hub) - cpu_s,
        "more_mib": memory_mib(hub)["pss_mib"] - before,
        "silence_s": silence["longest_s"],
    }


def _quiet(stage: Stage, hub: Process) -> dict[str, float]:
    """Leave the hub alone for QUIET_S, then ask it for as long whether it is there.

    Returns:
        What its servers alone cost it, and how long it was silent at most.
    """
    cpu_s = processor_time_s(hub)
    time.sleep(QUIET_S)
    cpu_s = processor_time_s(hub) - cpu_s
    with longest_silence(stage.hub_url) as silence:
        time.sleep(QUIET_S)
    return {"cpu_per_minute_s": cpu_s * 60 / QUIET_S, "silence_s": silence["longest_s"]}


def _imports() -> dict[str, float]:
    """Return the processor time of importing JupyterHub, with all packages and without one."""
    without = f"import sys; sys.modules[{GRAMMAR!r}] = None; "
    programs = {"all_s": "", "without_grammar_s": without}
    found = []
    for _ in range(IMPORTS):
        times = {}
        for name, program in programs.items():
            begin = os.times()
            command = [sys.executable, "-c", f"{program}import jupyterhub.app"]
            subprocess.run(command, check=True, capture_output=True)
            end = os.times()
            times[name] = (end.children_user + end.children_system) - (
                begin.children_user + begin.children_system
            )
        found.append(times)
    return medians(found)
