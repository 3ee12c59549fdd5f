"""What is measured of a running hub: times of answers, memory, and how long it answers nobody."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from cli.errors import CommandError, ProcessFailed
from cli.processes import Process

ANSWER_TIMEOUT_S = 60
START_TIMEOUT_S = 90
LOOK_EVERY_S = 0.02
PAGE_SIZE = 50
"""As many rows as JupyterHub's admin page asks for at once."""

_ADOPTED = re.compile(r"^\[I (\S+ \S+) .*Initialized (\d+) spawners in ([\d.]+) seconds$")
_RUNNING = re.compile(r"^\[I (\S+ \S+) .*JupyterHub is now running")
"""Said when the routes of all servers are at the proxy."""


class Browser:
    """Somebody's browser: cookies, XSRF token, the calls that the pages' scripts make.

    Args:
        url: Address of the hub, through the proxy.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str) -> requests.Response:
        """GET a page; an answer that is not 200 is an error.

        Raises:
            CommandError: the hub answered something else.
        """
        answer = self._session.get(self._url + path, timeout=ANSWER_TIMEOUT_S)
        return _expect(answer, 200)

    def ask(self, path: str) -> Any:
        """GET from the API as the admin page does; return the decoded answer.

        Raises:
            CommandError: the hub refused.
        """
        headers = {
            "Accept": "application/jupyterhub-pagination+json",
            "Referer": f"{self._url}hub/admin",
            "X-XSRFToken": self._session.cookies.get("_xsrf", path="/hub/") or "",
        }
        url = f"{self._url}hub/api/{path}"
        answer = self._session.get(url, headers=headers, timeout=ANSWER_TIMEOUT_S)
        return _expect(answer, 200).json()

    def sign_in(self, name: str, password: str) -> float:
        """Send the login form; return the seconds from sending it to the hub's redirect.

        Raises:
            CommandError: the sign-in was refused.
        """
        self._session.cookies.clear()
        page = self.get("hub/login?next=%2Fhub%2Fhome")
        found = re.search(r'name="_xsrf"\s+value="([^"]+)"', page.text)
        fields = {"username": name, "password": password, "_xsrf": found.group(1) if found else ""}
        begin = time.perf_counter()
        answer = self._session.post(
            page.url, data=fields, allow_redirects=False, timeout=ANSWER_TIMEOUT_S
        )
        _expect(answer, 302)
        return time.perf_counter() - begin


def _expect(answer: requests.Response, status: int) -> requests.Response:
    if answer.status_code != status:
        raise CommandError(f"The hub answered {answer.status_code} to {answer.url}")
    return answer


# --- a start --------------------------------------------------------------------------------------


def time_start(start: Callable[[], Process], hub_url: str, public_url: str) -> dict[str, float]:
    """Start a hub and watch it come up.

    Args:
        start: Starts it, returns at once.
        hub_url: Its own address.
        public_url: Its address through the proxy.

    Returns:
        Seconds since `start` returned until `health_s` (the hub answers), `login_s` (the login page
        comes through the proxy), `adopted_s` (every running server was looked at) and `routed_s`
        (all routes are at the proxy); `adopting_s`, the part of it that JupyterHub spent on
        servers; `cpu_s`, processor time until all of it; `rss_mib` and `pss_mib`, memory then;
        `servers`, the number of servers that were looked at.

    Raises:
        CommandError: it did not come up in time.
    """
    hub = start()
    begin, begin_wall = time.monotonic(), time.time()
    log_start = hub.log_file.stat().st_size if hub.log_file.exists() else 0
    open_now: dict[str, Callable[[], bool]] = {
        "health_s": lambda: _answers(f"{hub_url}hub/health"),
        "login_s": lambda: _answers(f"{public_url}hub/login"),
    }
    figures: dict[str, float] = {}
    while open_now or not {"adopted_s", "routed_s"} <= figures.keys():
        for name, is_there in list(open_now.items()):
            if not is_there():
                break  # the login page never comes before the hub answers
            figures[name] = time.monotonic() - begin
            del open_now[name]
        figures |= read_log(hub.log_file, log_start, begin_wall)
        if hub.identity() is None:
            raise hub.failure()
        if time.monotonic() - begin > START_TIMEOUT_S:
            raise CommandError("The hub did not come up", "", hub.log_tail())
        time.sleep(LOOK_EVERY_S)
    return {**figures, "cpu_s": processor_time_s(hub), **memory_mib(hub)}


def _answers(url: str) -> bool:
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=ANSWER_TIMEOUT_S).status_code == 200
    except requests.ConnectionError:
        return False


def read_log(log: Path, offset: int, begin_wall: float) -> dict[str, float]:
    """Read from a hub's log what it has said by now of its servers and their routes.

    Args:
        log: The hub's log.
        offset: Where this start begins in it, bytes.
        begin_wall: When this start began, seconds since 1970.
    """
    figures: dict[str, float] = {}
    with log.open(errors="replace") as file:
        file.seek(offset)
        for line in file:
            if adopted := _ADOPTED.match(line.rstrip("\n")):
                figures["adopted_s"] = _wall_time(adopted[1]) - begin_wall
                figures["adopting_s"] = float(adopted[3])
                figures["servers"] = float(adopted[2])
            elif running := _RUNNING.match(line):
                figures["routed_s"] = _wall_time(running[1]) - begin_wall
    return figures


def _wall_time(text: str) -> float:
    """Return the time of a line of the log, which is local, as seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").timestamp()


# --- a process ------------------------------------------------------------------------------------


def processor_time_s(process: Process) -> float:
    """Return the processor time that a process has used, seconds.

    Raises:
        ProcessFailed: it has ended.
    """
    fields = Path(f"/proc/{_pid(process)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(process: Process) -> dict[str, float]:
    """Return `rss_mib` and `pss_mib` of a process.

    Raises:
        ProcessFailed: it has ended.
    """
    text = Path(f"/proc/{_pid(process)}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE))
    return {"rss_mib": int(found["Rss"]) / 1024, "pss_mib": int(found["Pss"]) / 1024}


def _pid(process: Process) -> int:
    identity = process.identity()
    if identity is None:
        raise ProcessFailed(f"The {process.name} has ended", "", process.log_tail())
    return identity.pid


# --- requests -------------------------------------------------------------------------------------


def time_answers(ask: Callable[[], object], count: int) -> dict[str, float]:
    """Ask `count` times; return `first_s`, and `median_s` of those after the first."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begin)
    return {"first_s": times[0], "median_s": statistics.median(times[1:])}


@contextlib.contextmanager
def longest_silence(hub_url: str) -> Iterator[dict[str, float]]:
    """Ask a hub again and again whether it is there, beside what the block does.

    Args:
        hub_url: Its own address.

    Yields:
        A dictionary that has, after the block, `longest_s` and `median_s` of the answers.
    """
    figures: dict[str, float] = {}
    times: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not ended.wait(LOOK_EVERY_S):
                begin = time.perf_counter()
                with contextlib.suppress(requests.RequestException):  # as long as it lasted
                    session.get(f"{hub_url}hub/health", timeout=ANSWER_TIMEOUT_S)
                times.append(time.perf_counter() - begin)

    asking = threading.Thread(target=ask, name="silence")
    asking.start()
    try:
        yield figures
    finally:
        ended.set()
        asking.join()
    if times:
        figures.update(longest_s=max(times), median_s=statistics.median(times))
