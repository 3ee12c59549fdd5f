"""The model of the settings: defaults, frozen values, what is right, what does not go together."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from pydantic import ValidationError

from hub_config import people
from hub_config.problems import nearest, shown, toml
from hub_config.settings import (
    DirectoryHome,
    DirectoryShare,
    GitHubLogin,
    Hub,
    Login,
    NfsHome,
    Profile,
    Settings,
    Share,
    VolumeShare,
)
from hub_config.settings.exposure import mounted_folders
from hub_config.settings.keys import TREE
from hub_config.settings.paths import HOMES_OF_NOBODY
from hub_config.state import State

GITHUB = Login(github=GitHubLogin(client_id="a", client_secret="b", organization="c"))


def settings(root: str = "/srv/hub", **tables: object) -> Settings:
    return Settings.model_validate(tables, context={"root": Path(root)})


def test_defaults_are_demo_mode_on_this_machine():
    """Without settings only this machine reaches the hub, with the generated logins."""
    assert settings().is_demo
    assert settings().hub.is_loopback
    assert settings().hub.url == "http://127.0.0.1:8000/"


def test_default_folders_lie_below_the_root():
    """A relative default is resolved like a written one."""
    made = settings("/srv/hub")
    assert isinstance(made.home, DirectoryHome)
    assert made.home.folder == Path("/srv/hub/data/homes")
    assert made.hub.data_folder == Path("/srv/hub/data")
    assert made.share[0].folder == Path("/srv/hub/data/admin")
    assert made.hooks.folder == Path("/srv/hub/data/admin/start")


@pytest.mark.parametrize(
    ("model", "name"),
    [(settings(), "hub"), (settings().hub, "port"), (settings().profile[0], "image")],
)
def test_settings_are_frozen(model: Settings, name: str):
    """Nothing changes settings once they are made."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, name, None)


def test_tables_of_the_tree_are_frozen():
    """The model's tree of keys is shared, so it cannot be changed either."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        TREE.many = True


def test_the_default_share_follows_groups_and_hooks():
    """Who renames the admins or their gid need not repeat the default share."""
    made = settings(groups={"admins": "ops"}, hooks={"admin_gid": 1234})
    assert made.share[0].read_write == ("ops",)
    assert made.share[0].gid == 1234


@pytest.mark.parametrize(
    ("tables", "url"),
    [
        ({"port": 9000}, "http://127.0.0.1:9000/"),
        ({"bind": "::1"}, "http://[::1]:8000/"),
        ({"bind": "localhost"}, "http://localhost:8000/"),
        ({"public_url": "https://hub.example.org/"}, "https://hub.example.org/"),
        ({"certificate_crt": "/a.crt", "certificate_key": "/a.key"}, "https://127.0.0.1:8000/"),
    ],
)
def test_url(tables: dict[str, object], url: str):
    """The address ends with a slash, whatever it is made from."""
    assert Hub.model_validate(tables).url == url


@pytest.mark.parametrize(
    "image",
    [
        "debian",
        "debian:bookworm-slim",
        "labhub/notebook:local",
        "quay.io/jupyter/base-notebook:2026-01-01",
        "127.0.0.1:5000/course:deploy",
        "localhost/course",
        "[::1]:5000/course:deploy",
        "registry.example.org:5000/a/b__c/d-e.f:V1.2_x",
        "course@sha256:" + "0a" * 32,
        "quay.io/course:deploy@sha256:" + "0a" * 32,
    ],
)
def test_images_that_are_right(image: str):
    """Every form of reference that an engine takes is taken."""
    assert Profile(name="a", image=image).image == image


@pytest.mark.parametrize("target", ["/nfs", "/home/admin", "/home/admin/data", "/srv/x", "/tmp/x"])
def test_targets_that_are_right(target: str):
    """A share may stand anywhere but over the system and over homes."""
    share = VolumeShare(name="a", target=target + "/", kind="volume", volume="data")
    assert share.target == target


def test_names_free_below_home_belong_to_nobody():
    """Where a share may stand below /home, no person's home can be."""
    assert set(HOMES_OF_NOBODY) <= people.RESERVED


@pytest.mark.parametrize("part", ["servers_folder", "logs_folder", "run_folder"])
def test_state_is_never_shared(part: str, tmp_path: Path):
    """Whatever folder the hub keeps its state in cannot be a share."""
    folder = getattr(State(tmp_path / "data"), part)
    share = {"name": "a", "target": "/a", "folder": folder / "x"}
    with pytest.raises(ValidationError, match="lies in the hub's own"):
        settings(str(tmp_path), share=[share])


def test_homes_and_the_admins_folder_may_lie_in_the_data_folder():
    """The defaults do."""
    share = {"name": "a", "target": "/a", "folder": "data/shares/a"}
    assert settings(share=[share]).share[0].name == "a"


@pytest.mark.parametrize(
    "hub",
    [
        {"bind": "192.0.2.1", "certificate_crt": "/a.crt", "certificate_key": "/a.key"},
        {"bind": "192.0.2.1", "public_url": "https://hub.example.org"},
        {"bind": "192.0.2.1", "public_url": "HTTPS://hub.example.org"},
        {"bind": "127.0.0.1", "public_url": "https://hub.example.org"},
    ],
    ids=["certificate", "proxy on another machine", "its address in capitals", "proxy on this one"],
)
def test_public_hub_with_github(hub: dict[str, object]):
    """With a real sign-in and TLS, its own or a proxy's, the hub may be reached by others."""
    made = settings(hub=hub, login=GITHUB)
    assert not made.is_demo
    assert not made.hub.is_loopback


def test_plain_http_on_this_machine():
    """Nobody reads along on loopback, so a real sign-in needs no TLS there."""
    assert settings(login=GITHUB).hub.url == "http://127.0.0.1:8000/"


@pytest.mark.parametrize("name", ["certificate_crt", "certificate_key"])
def test_half_a_certificate_is_one_problem(name: str):
    """Who set one of the two has TLS in mind, and is told of the other only."""
    with pytest.raises(ValidationError, match="is missing, while") as caught:
        settings(hub={"bind": "192.0.2.1", name: "/a.pem"}, login=GITHUB)
    assert "plain HTTP" not in str(caught.value)


def test_one_team_in_two_lists():
    """Its members are in the group that may do most, so both lists may name it."""
    teams = {"students": ["all"], "tas": ["staff"], "admins": ["staff"]}
    login = {"client_id": "a", "client_secret": "b", "organization": "c", "teams": teams}
    github = settings(login={"github": login}).login.github
    assert github is not None
    assert github.teams.tas == github.teams.admins == ("staff",)


def test_a_stand_in_for_github_on_this_machine():
    """Plain HTTP is good enough on loopback, where nobody reads along."""
    login = {"client_id": "a", "client_secret": "b", "organization": "c"}
    login |= {"url": "http://127.0.0.1:9000", "api_url": "http://127.0.0.1:9000/api/v3/"}
    github = settings(login={"github": login}).login.github
    assert github is not None
    assert github.api_url == "http://127.0.0.1:9000/api/v3"


def test_a_directory_as_nfs_without_nfs():
    """The engine can bind a directory in place of an export; nosuid is NFS's matter."""
    home = {"kind": "nfs", "server": "localhost", "export": "/srv/homes/"}
    made = settings(home=home | {"mount_type": "none", "options": "bind"}, share=[])
    assert isinstance(made.home, NfsHome)
    assert made.home.export == "/srv/homes"


def test_a_directory_as_nfs_beside_the_hooks():
    """Admins may write to the hooks, through whatever kind of share."""
    share = {"kind": "nfs", "server": "localhost", "export": "/srv/hub/data/admin"}
    share |= {"mount_type": "none", "options": "bind", "name": "admin", "target": "/home/admin"}
    made = settings(share=[share | {"read_write": ["admins"], "gid": 996}])
    assert [key for key, _ in mounted_folders(made)] == [
        ("home", "folder"),
        ("share", 0, "export"),
        ("hooks", "folder"),
        ("hooks", "log_folder"),
    ]


def test_made_directly_values_must_go_together_too():
    """Settings made by code are checked like those of a file."""
    with pytest.raises(ValidationError, match=r"hub\.hub_port: is 8000, and so is hub\.port"):
        Settings(hub=Hub(hub_port=8000))


def test_shares_are_one_type_to_their_users():
    """All kinds have what does not depend on the kind."""
    share = DirectoryShare(name="a", target="/a", folder=Path("/srv/a"))
    assert isinstance(share, Share)
    assert share.gid is None


def test_every_value_has_an_example():
    """Where a value is wrong, one that is right is shown; and it is right."""
    for node in TREE.walk():
        if not node.is_table and not node.is_secret:
            assert node.sample is not None, node.name


def test_every_key_is_described():
    """The reference says what each key is, in a sentence."""
    for node in TREE.walk():
        if node.field is not None:
            assert (node.field.description or "").endswith("."), node.name


def test_no_secret_stands_in_a_list_of_tables():
    """Secrets come from files and the environment, which have no names for list entries."""
    assert not [node.name for node in TREE.walk() if node.is_secret and node.in_list]


def test_secrets_are_masked():
    """A secret shows in no form of the settings."""
    login = {"client_id": "a", "client_secret": "CANARY", "organization": "c"}
    made = settings(login={"github": login})
    assert "CANARY" not in repr(made) + str(made) + made.model_dump_json()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("hub", "prot"), "hub.port"),
        (("login", "githb"), "login.github"),
        (("login", "github", "org"), None),
        (("engine", "sockets"), "engine.socket"),
        (("memory_gib",), None),
        (("log_mib",), "limits.log_mib"),
        (("login", "github", "students"), "login.github.teams.students"),
        (("profile", 3, "memory"), "profile.memory_gib"),
        (("share", 0, "readwrite"), "share.read_write"),
    ],
)
def test_nearest_name(key: tuple[str | int, ...], expected: str | None):
    """A slip of the finger finds its key; a wild guess finds none."""
    node = nearest(key)
    assert (node.name if node else None) == expected


@settings_of(max_examples=50)
@given(st.recursive(st.text() | st.booleans() | st.integers(), st.lists, max_leaves=4))
def test_toml_is_read_back(value: object):
    """What we write as an example is TOML of the same value."""

    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}


def test_shown_values_are_short_and_tell_no_secret():
    """A value in a message is cut, and what stands before an @ is left out."""
    title = TREE.find(("hub", "title"))
    assert len(shown("x" * 500, title) or "") == 80
    assert shown("https://me:CANARY@host", title) == '"https://***@host"'
    assert shown("-----BEGIN PRIVATE KEY-----", title) is None
    assert shown("CANARY", TREE.find(("login", "github", "client_secret"))) is None
    assert shown("CANARY", TREE.find(("login", "github"))) is None
    assert shown("CANARY", None) is None
