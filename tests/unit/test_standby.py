"""Which standby somebody gets, and how many there are to be; no engine is asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from docker.types import Mount

from hub_config.settings import Hub, Profile, Settings, VolumeHome
from hub_config.settings import Standby as StandbySettings
from hub_config.state import State
from spawner.channels import Image
from spawner.containers import Container
from spawner.shared import Shared
from spawner.standby import Standbys, wanted_standbys
from spawner.warming import Standby

IMAGE = Image("sha256:new", "", "labhub", waits=True)


def waiting(name: str, age_s: float = 0, image_id: str = IMAGE.id) -> Standby:
    """Return a standby of the profile `notebook` that is ready."""
    container = Container(name, "192.0.2.1", 1)
    made_at = time.monotonic() - age_s
    return Standby(name, container, "notebook", image_id, [], made_at, memory_kib=100 * 1024)


@pytest.fixture
def standbys(tmp_path: Path) -> Standbys:
    settings = Settings(
        hub=Hub(data_folder=tmp_path / "data", runtime_folder=tmp_path / "run"),
        profile=(Profile(name="notebook", standbys=3), Profile(name="other")),
        standby=StandbySettings(max_age_s=60, memory_gib=0.25),
    )
    return Shared.make(settings, State(tmp_path / "data").prepare()).standbys


def test_each_is_given_once(standbys: Standbys) -> None:
    """Whoever takes one takes it off the list; when none is left there is none."""
    standbys._ready += [waiting("a"), waiting("b")]
    taken = [standbys.take("notebook", IMAGE, []) for _ in range(3)]
    assert [each and each.id for each in taken] == ["a", "b", None]


def test_one_that_does_not_fit_is_not_given(standbys: Standbys) -> None:
    """Too old, of another image, of another profile, or with other mounts: none of them."""
    standbys._ready += [waiting("old", age_s=61), waiting("before", image_id="sha256:old")]
    assert standbys.take("notebook", IMAGE, []) is None
    standbys._ready.append(waiting("fits"))
    assert standbys.take("other", IMAGE, []) is None
    assert standbys.take("notebook", IMAGE, [Mount("/data", "volume", type="volume")]) is None
    found = standbys.take("notebook", IMAGE, [])
    assert found and found.id == "fits"


def test_memory_bounds_them(standbys: Standbys) -> None:
    """One more is made as long as what they need, by their own account, fits the budget."""
    profile = standbys.settings.profile[0]
    assert standbys._lacks(profile, 3)
    standbys._ready.append(waiting("a"))
    assert standbys._lacks(profile, 3)
    standbys._ready.append(waiting("b"))
    assert not standbys._lacks(profile, 3)  # the third would be 300 of 256 MiB


def test_how_many_there_are_to_be() -> None:
    """Two of the first profile unless something else is said; none where homes cannot be bound."""
    first, second = Profile(name="a"), Profile(name="b")
    assert wanted_standbys(Settings(profile=(first, second))) == {"a": 2, "b": 0}
    off, many = Profile(name="a", standbys=0), Profile(name="b", standbys=7)
    assert wanted_standbys(Settings(profile=(off, many))) == {"a": 0, "b": 7}
    assert wanted_standbys(Settings(home=VolumeHome(kind="volume"))) == {}
