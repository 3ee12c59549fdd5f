"""The demo logins and the back-off, with a clock that tests turn by hand."""

from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authenticator.backoff import Backoff
from authenticator.demo import (
    ROLES,
    DemoDoor,
    DemoLogin,
    DemoLoginsError,
    WrongLogin,
    demo_logins,
)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(tmp_path: Path):
    return demo_logins(tmp_path / "demo-logins.json")


@pytest.fixture
def door(logins, clock) -> DemoDoor:
    return DemoDoor(logins, Backoff(free=5, clock=clock), Backoff(free=20, clock=clock))


def wrong(door: DemoDoor, username: str, source: str = "10.0.0.1") -> int:
    """Try a wrong password; return how long the door says to wait."""
    with pytest.raises(WrongLogin) as caught:
        door.enter(username, "wrong", source)
    return caught.value.wait_s


def test_missing_logins_are_made_once_and_closed_to_others(tmp_path):
    """The first call writes three logins with mode 0600, the next call reads the same."""
    path = tmp_path / "demo-logins.json"
    made = demo_logins(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert demo_logins(path) == made
    written = json.loads(path.read_text())
    assert set(written) == {"admin", "ta", "student"}
    assert all(set(login) == {"username", "password"} for login in written.values())
    assert len({login.password for login in made.values()}) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_those_who_start_together_agree(tmp_path):
    """Several first calls at the same moment end in one set of logins for all."""
    path = tmp_path / "demo-logins.json"
    together = threading.Barrier(8)

    def read(_: int) -> object:
        together.wait()
        return demo_logins(path)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))
    assert found == [demo_logins(path)] * 8
    assert list(tmp_path.iterdir()) == [path]


def test_logins_that_others_can_read_are_refused(tmp_path):
    """A file with an open mode is refused, with the way out in the message."""
    path = tmp_path / "demo-logins.json"
    demo_logins(path)
    path.chmod(0o644)
    with pytest.raises(DemoLoginsError, match="Remove it"):
        demo_logins(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("ta"),
        lambda data: data["ta"].pop("password"),
        lambda data: data["ta"].update(username="admin"),
        lambda data: data["ta"].update(username="TA"),
        lambda data: data["ta"].update(username=" "),
        lambda data: data["ta"].update(username=7),
        lambda data: data["ta"].update(password="guessable"),
        lambda data: data["ta"].update(password=None),
        lambda data: data["ta"].update(groups=[]),
        lambda data: data.update(ta=[]),
    ],
)
def test_a_file_that_was_spoilt_is_refused_in_words(tmp_path, change):
    """What cannot sign three people in is refused, and no password stands in the message."""
    path = tmp_path / "demo-logins.json"
    demo_logins(path)
    data = json.loads(path.read_text())
    secret = data["admin"]["password"]
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(DemoLoginsError, match="Mend or remove it") as caught:
        demo_logins(path)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "\u0000", '{"admin": 1'])
def test_a_file_that_is_no_json_object_is_refused_in_words(tmp_path, text):
    """A file cut short or of another kind is refused like a spoilt one."""
    path = tmp_path / "demo-logins.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(DemoLoginsError, match="Mend or remove it"):
        demo_logins(path)


def test_a_password_is_not_in_the_repr():
    """A login that gets into a log shows its name only."""
    assert "s3cret" not in repr(DemoLogin("admin", "s3cret-s3cret-s3cret"))


@pytest.mark.parametrize("role", ROLES)
def test_each_login_opens_its_own_role(door, logins, role):
    """Name and password of a role give this role; anybody else's password gives nothing."""
    assert door.enter(logins[role].username, logins[role].password, "10.0.0.1") == role
    for other in set(ROLES) - {role}:
        assert door.role_of(logins[role].username, logins[other].password) is None


@pytest.mark.parametrize("password", ["", "x" * 100_000, "päßwörd", "\ud800", "\x00"])
def test_odd_passwords_are_wrong_and_nothing_worse(door, password):
    """Empty, huge, accented and broken passwords are refused like any other."""
    assert door.role_of("admin", password) is None


def test_wrong_passwords_wait_longer_and_longer(door, clock):
    """Five tries are free, then the wait doubles up to a minute."""
    assert [wrong(door, "admin") for _ in range(6)] == [0] * 6
    waits = []
    for _ in range(8):
        waits.append(wrong(door, "admin"))
        clock.now += waits[-1]
        assert wrong(door, "admin") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_wait_ends_though_somebody_keeps_trying(door, clock):
    """Tries within the wait neither count nor make it longer."""
    for _ in range(7):
        wrong(door, "admin")
    for _ in range(1000):
        wrong(door, "admin")
    clock.now += 1
    assert wrong(door, "admin") == 0


def test_a_flood_locks_nobody_out_and_costs_no_memory(logins, clock):
    """After 10,000 wrong logins every right one works at once, and little is remembered."""
    accounts, sources = Backoff(free=5, clock=clock), Backoff(free=20, capacity=100, clock=clock)
    door = DemoDoor(logins, accounts, sources)
    for n in range(10_000):
        wrong(door, f"name-{n}" if n % 2 else "student", f"10.0.{n // 256}.{n % 256}")
        clock.now += 0.01
    assert len(accounts) == 1
    assert len(sources) <= 100
    for role in ROLES:
        assert door.enter(logins[role].username, logins[role].password, "10.0.0.9") == role


def test_one_account_s_failures_do_not_slow_another(door):
    """Wrong passwords for one account leave others, from elsewhere, as they were."""
    for _ in range(10):
        wrong(door, "admin", "10.0.0.1")
    assert wrong(door, "admin", "10.0.0.2") > 0
    assert wrong(door, "student", "10.0.0.2") == 0


def test_a_source_that_tries_many_names_waits(door):
    """Tries at names that do not exist count for where they come from."""
    for n in range(21):
        assert wrong(door, f"name-{n}", "10.0.0.1") == 0
    assert wrong(door, "name-99", "10.0.0.1") > 0
    assert wrong(door, "name-99", "10.0.0.2") == 0


def test_a_right_password_clears_the_account(door, logins):
    """After a sign-in the free tries are there again."""
    for _ in range(7):
        wrong(door, "admin")
    door.enter("admin", logins["admin"].password, "10.0.0.1")
    assert wrong(door, "admin", "10.0.0.2") == 0


def test_failures_are_forgotten_after_a_quiet_while(clock):
    """A quarter of an hour without a failure gives the free tries back."""
    backoff = Backoff(free=1, clock=clock)
    backoff.failed("a")
    backoff.failed("a")
    assert backoff.wait_s("a") == 1
    clock.now += 901
    backoff.failed("a")
    assert backoff.wait_s("a") == 0


def test_the_longest_forgotten_key_makes_room(clock):
    """At capacity the key that failed least recently goes, the others stay."""
    backoff = Backoff(free=0, capacity=2, clock=clock)
    for key in ("a", "b", "a", "c"):
        backoff.failed(key)
    assert len(backoff) == 2
    assert backoff.wait_s("b") == 0
    assert backoff.wait_s("a") > 0


def test_ten_thousand_failures_do_not_overflow(clock):
    """The wait stays at its bound however often a key fails."""
    backoff = Backoff(free=0, longest_s=60, clock=clock)
    for _ in range(10_000):
        clock.now += 60
        backoff.failed("a")
    assert backoff.wait_s("a") == 60
