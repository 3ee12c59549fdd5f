"""`labhub bench hub`: the database that it makes, how it reads a hub, and what it writes of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import crypto, orm, roles
from sqlalchemy.orm import Session

from bench import hub
from bench.hub_people import Server, add_people, add_servers, role_of
from bench.hub_probe import longest_silence, read_log
from bench.hub_report import findings, table
from hub_config.loading import load_settings
from hub_config.people import People
from hub_config.settings import Settings
from hub_config.state import State
from spawner.naming import server_names
from spawner.records import Records


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "hub.toml"
    config.write_text('[hub]\ndata_folder = "data"\nruntime_folder = "runtime"\n')
    return load_settings(config)


@pytest.fixture
def state(settings: Settings) -> State:
    return State(settings.hub.data_folder).prepare()


@pytest.fixture
def db() -> Iterator[Session]:
    """A database as a hub leaves it after its first start."""
    session = orm.new_session_factory("sqlite:///:memory:")()
    for role in roles.get_default_roles():
        roles.create_role(session, role)
    session.add(orm.OAuthClient(identifier="jupyterhub", secret="", redirect_uri=""))
    session.commit()
    yield session
    session.close()
    session.get_bind().dispose()


def test_everybody_has_what_a_sign_in_leaves(settings: Settings, state: State, db: Session) -> None:
    """Role, group, spawner row, identity, and an auth state that the hub can read."""
    students = add_people(settings, state, db, 0, 60)
    add_people(settings, state, db, 60, 100)
    users = db.query(orm.User).all()
    assert len(users) == 100
    counts = {group.name: len(group.users) for group in db.query(orm.Group)}
    assert counts == {"admins": 1, "tas": 2, "students": 97}
    assert [user.name for user in users if user.admin] == ["admin-0001"]
    assert all("user" in [role.name for role in user.roles] for user in users)
    assert all(list(user.orm_spawners) == [""] for user in users)
    assert len(students) == len([i for i in range(60) if role_of(i) == "student"])
    person = People(state.people_file).find("student-0002")
    assert person == students[0]
    keeper = crypto.CryptKeeper(keys=[state.crypt_key])
    auth_state = db.query(orm.User).filter_by(name=person.name).one().encrypted_auth_state
    assert asyncio.run(_decrypted(keeper, auth_state)) == {"identity": person.identity}


async def _decrypted(keeper: crypto.CryptKeeper, sealed: bytes) -> Any:
    return await keeper.decrypt(sealed)


def test_a_server_is_one_that_the_hub_would_adopt(
    settings: Settings, state: State, db: Session
) -> None:
    """Its row, its spawner's state, its record and its OAuth client name the same container."""
    owner = add_people(settings, state, db, 2, 4)[0]
    names = server_names(state.hub_id, owner)
    add_servers(settings, state, db, [Server(owner, names.container, "c0ffee", "10.9.8.7")], "i")
    running = db.query(orm.Spawner).filter(orm.Spawner.server != None).all()  # noqa: E711 (SQL)
    assert [spawner.user.name for spawner in running] == [owner.name]
    assert running[0].server.ip == "10.9.8.7"
    assert running[0].state["object_id"] == "c0ffee"
    assert running[0].oauth_client.identifier == names.oauth_client
    records = Records(state.servers_folder)
    record = records.read(names.server_id)
    assert record is not None
    assert (record.identity, record.container_id) == (owner.identity, "c0ffee")
    token = orm.APIToken.find(db, record.token)
    assert token is not None
    assert token.user.name == owner.name


def test_a_start_is_read_from_the_hubs_log_from_where_it_began(tmp_path: Path) -> None:
    """The lines of an earlier start are not taken for this one's."""
    log = tmp_path / "hub.log"
    before = (
        "[I 2026-01-02 03:04:00.000 JupyterHub app:1] Initialized 9 spawners in 9.000 seconds\n"
    )
    log.write_text(before)
    begin = datetime(2026, 1, 2, 3, 4, 5).timestamp()
    assert read_log(log, len(before), begin) == {}
    with log.open("a") as file:
        file.write(
            "[I 2026-01-02 03:04:07.500 JupyterHub app:1] "
            "Initialized 200 spawners in 1.250 seconds\n"
            "[I 2026-01-02 03:04:08.000 JupyterHub app:2] JupyterHub is now running, internal\n"
        )
    assert read_log(log, len(before), begin) == {
        "adopted_s": 2.5,
        "adopting_s": 1.25,
        "servers": 200,
        "routed_s": 3.0,
    }


def test_a_silence_is_seen() -> None:
    """While a server answers nobody, the longest time without an answer is that long."""
    asked, answering = threading.Event(), threading.Event()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            answering.wait(30)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with longest_silence(f"http://127.0.0.1:{server.server_port}/") as found:
            assert asked.wait(30)
            begin = time.perf_counter()
            time.sleep(0.2)
            silent_s = time.perf_counter() - begin
            answering.set()
    finally:
        answering.set()
        server.shutdown()
        thread.join()
        server.server_close()
    assert found["longest_s"] >= silent_s


def test_the_page_of_the_list_is_the_one_that_the_admin_page_asks_for() -> None:
    assert hub.users_path(50, name_filter="a") == (
        "users?include_stopped_servers=1&offset=50&limit=50&name_filter=a&sort=id&state="
    )


def test_medians_are_taken_of_each_figure() -> None:
    found = hub.medians([{"a": 1, "b": 9}, {"a": 5, "b": 1}, {"a": 2, "b": 2}])
    assert found == {"a": 2, "b": 2}


def figures(servers: int) -> dict[str, Any]:
    """Figures as `run` returns them."""

    def start(adopted_s: float, adopting_s: float) -> dict[str, float]:
        first = {"health_s": adopted_s + 0.1, "login_s": adopted_s + 0.2, "cpu_s": adopted_s}
        later = {"adopted_s": adopted_s, "adopting_s": adopting_s, "routed_s": adopted_s + 0.5}
        return {**first, **later, "pss_mib": 100 + adopted_s, "rss_mib": 130, "starts": 3}

    pages = ("home", "spawn", "admin", "list, first page", "list, last page", "list, by name")
    times = {"first_s": 0.25, "median_s": 0.125}
    measured = {
        "sign_in": times,
        "pages": dict.fromkeys((*pages, "list, of a TA", "active servers"), times),
        "walk": {"seconds": 3.0, "cpu_s": 2.9, "more_mib": 20.0, "silence_s": 0.2},
        "memory": {"rss_mib": 180, "pss_mib": 160},
        "rows_read_s": 0.012,
    }
    quiet = {"cpu_per_minute_s": 1.5, "silence_s": 0.01}
    return {
        "servers": servers,
        "wanted_servers": 200,
        "imports": {"all_s": 2.0, "without_grammar_s": 1.0},
        "sizes": [
            {"people": 0, "servers": 0, "start": start(2.0, 0.0)},
            {"people": 1000, "servers": servers, "start": start(4.0, 2.0), **measured},
            {"people": 5000, "servers": servers, "start": start(5.0, 2.0), **measured}
            | {"quiet": quiet},
        ],
    }


def test_the_results_have_a_column_for_each_size() -> None:
    """What was not measured for a size is a dash, never a number."""
    lines = table(figures(200)).splitlines()
    assert "|  | no people | 1,000 people | 5,000 people |" in lines
    assert "| all servers are adopted | 2.00 s | 4.00 s | 5.00 s |" in lines
    assert "| `/hub/home` | – | 125 ms (250 ms) | 125 ms (250 ms) |" in lines
    assert "| processor time of a quiet minute | – | – | 1.50 s |" in lines


def test_fewer_servers_than_wanted_are_said() -> None:
    assert "200 were wanted" in table(figures(120))
    assert "120 running stub servers" in table(figures(120))
    assert "were wanted" not in table(figures(200))


def test_what_follows_is_computed_from_the_figures() -> None:
    """10 ms a server reach JupyterHub's 10 s with 1,000; 4,000 more rows took a second."""
    found = " ".join(findings(figures(200)))
    assert "10 ms for each" in found
    assert "about 1,000 servers" in found
    assert "0.25 s of processor time for every 1,000" in found
    assert "`rfc3987-syntax`" in found


def test_a_package_that_costs_nothing_is_not_blamed() -> None:
    without = figures(200) | {"imports": {"all_s": 1.02, "without_grammar_s": 1.0}}
    assert "rfc3987" not in " ".join(findings(without))


def test_nothing_is_divided_by_servers_that_did_not_start() -> None:
    assert "0 running stub servers" in table(figures(0))
