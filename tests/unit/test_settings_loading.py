"""Where settings come from: the file, the environment, and what wins."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from hub_config import loading
from hub_config.draft import Draft
from hub_config.environment import BY_NAME
from hub_config.loading import SettingsError, find_file, load_settings
from hub_config.settings import DirectoryHome, NfsHome
from hub_config.settings.keys import TREE


@pytest.fixture
def hub_toml(tmp_path: Path) -> Path:
    return tmp_path / "hub.toml"


def test_without_a_file_the_defaults_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No hub.toml is demo mode, with paths below the project's folder."""
    monkeypatch.setattr(loading, "PROJECT_FOLDER", tmp_path)
    settings = load_settings(environ={})
    assert settings.is_demo
    assert settings.hub.data_folder == tmp_path / "data"


def test_hub_toml_of_the_project_is_found(monkeypatch: pytest.MonkeyPatch, hub_toml: Path):
    """hub.toml beside jupyterhub_config.py needs no naming."""
    monkeypatch.setattr(loading, "PROJECT_FOLDER", hub_toml.parent)
    hub_toml.write_text('[hub]\ntitle = "Found"\n')
    assert load_settings(environ={}).hub.title == "Found"


def test_the_project_is_where_jupyterhub_config_is():
    """The default file's folder is the one that holds jupyterhub_config.py."""
    assert (loading.PROJECT_FOLDER / "hub_config" / "loading.py").is_file()


def test_a_dangling_hub_toml_is_not_demo_mode(monkeypatch: pytest.MonkeyPatch, hub_toml: Path):
    """A link whose file is gone means settings are lost, not that none are wanted."""
    monkeypatch.setattr(loading, "PROJECT_FOLDER", hub_toml.parent)
    hub_toml.symlink_to("gone.toml")
    with pytest.raises(SettingsError, match="There is no such file"):
        load_settings(environ={})


@pytest.mark.parametrize("by_environment", [True, False])
def test_a_named_file_must_exist(hub_toml: Path, by_environment: bool):
    """Who names a file wants it read."""
    with pytest.raises(SettingsError, match="There is no such file") as caught:
        if by_environment:
            load_settings(environ={"LABHUB_CONFIG": str(hub_toml)})
        else:
            load_settings(hub_toml, {})
    assert caught.value.path == hub_toml


def test_the_argument_wins_over_labhub_config(hub_toml: Path):
    """--config is nearer than the environment."""
    hub_toml.write_text("")
    assert find_file(hub_toml, {"LABHUB_CONFIG": "/nowhere.toml"}) == hub_toml


def test_files_that_are_no_text(hub_toml: Path):
    """A folder, and bytes that are not UTF-8, are refused in words."""
    hub_toml.write_bytes(b"title = \xff")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(hub_toml, {})
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(hub_toml.parent, {})


def test_a_byte_order_mark_is_no_error(hub_toml: Path):
    """Some editors write one."""
    hub_toml.write_bytes(b'\xef\xbb\xbf[hub]\ntitle = "BOM"\n')
    assert load_settings(hub_toml, {}).hub.title == "BOM"


def test_relative_paths_begin_at_the_files_folder(hub_toml: Path, tmp_path: Path):
    """Wherever the hub is started from."""
    hub_toml.write_text('[home]\nfolder = "homes"\n[hooks]\nfolder = "../hooks"\n')
    settings = load_settings(hub_toml, {})
    assert isinstance(settings.home, DirectoryHome)
    assert settings.home.folder == tmp_path / "homes"
    assert settings.hooks.folder == tmp_path.parent / "hooks"
    assert settings.hub.data_folder == tmp_path / "data"


def test_the_environment_wins_over_the_file(hub_toml: Path):
    """So a container or a unit file can change one value."""
    hub_toml.write_text('[hub]\ntitle = "File"\nport = 9000\n')
    environ = {
        "LABHUB_HUB_TITLE": "Environment",
        "LABHUB_LIMITS_CPU": "1.5",
        "LABHUB_LIMITS_PROCESSES": "99",
        "LABHUB_HOME_REQUIRE_MOUNT": "yes",
        "LABHUB_HOOKS_AS_ROOT": "required",
    }
    settings = load_settings(hub_toml, environ)
    assert settings.hub.title == "Environment"
    assert settings.hub.port == 9000
    assert settings.limits.cpu == 1.5
    assert settings.limits.processes == 99
    assert isinstance(settings.home, DirectoryHome)
    assert settings.home.require_mount is True
    assert settings.hooks.as_root == "required"


def test_the_names_of_the_openbis_image(hub_toml: Path):
    """Who comes from the openBIS image keeps the environment."""
    hub_toml.write_text("")
    environ = {
        "JUPYTERHUB_PORT": "9443",
        "OPENBIS_URL": "https://openbis.example.org/",
        "JUPYTERHUB_INTEGRATION_SERVICE_PORT": "9002",
    }
    settings = load_settings(hub_toml, environ)
    assert settings.hub.port == 9443
    assert settings.openbis.url == "https://openbis.example.org"
    assert settings.openbis.eln_service_port == 9002
    assert BY_NAME["CERTIFICATE_KEY"].name == "hub.certificate_key"
    assert BY_NAME["CERTIFICATE_CRT"].name == "hub.certificate_crt"


def test_our_name_wins_over_the_openbis_image(hub_toml: Path):
    """LABHUB_... can only be meant for us."""
    hub_toml.write_text("")
    environ = {"JUPYTERHUB_PORT": "1", "LABHUB_HUB_PORT": "2"}
    assert load_settings(hub_toml, environ).hub.port == 2


def test_empty_variables_and_those_of_others_do_not_count(hub_toml: Path):
    """Compose files set what is missing to nothing; our containers have LABHUB_HOOK_..."""
    hub_toml.write_text("")
    environ = {"JUPYTERHUB_PORT": "", "LABHUB_HUB_PROT": "", "LABHUB_HOOK_FOLDER": "/x"}
    assert load_settings(hub_toml, environ).hub.port == 8000


def test_a_table_may_come_from_the_environment_alone(hub_toml: Path):
    """Homes on NFS without a word in the file."""
    hub_toml.write_text("")
    names = {"KIND": "nfs", "SERVER": "nfs.example.org", "EXPORT": "/export"}
    settings = load_settings(hub_toml, {f"LABHUB_HOME_{k}": v for k, v in names.items()})
    assert isinstance(settings.home, NfsHome)
    assert settings.home.export == "/export"


def test_every_environment_name_means_one_key():
    """No two keys share a name, and every single value outside of lists has one."""
    names = [name for node in TREE.walk() for name in node.environment]
    assert len(names) == len(set(names))
    assert "LABHUB_LOGIN_GITHUB_CLIENT_SECRET" in names


def test_problems_of_the_environment_alone():
    """Without a file the error says where to look."""
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={"LABHUB_CONFIG": "", "JUPYTERHUB_PORT": "http"})
    (problem,) = caught.value.problems
    assert (problem.key, problem.value, problem.source) == ("hub.port", '"http"', "JUPYTERHUB_PORT")


RIGHT: dict[str, Any] = {
    "hub": {"port": 9000, "bind": "127.0.0.1"},
    "login": {"github": {"client_id": "a", "client_secret": "b", "organization": "c"}},
    "profile": [{"name": "a", "groups": ["tas"]}, {"name": "b", "image": "x/y:z"}],
    "home": {"kind": "nfs", "server": "s", "export": "/homes"},
    "share": [{"name": "a", "target": "/a", "folder": "/srv/a", "read_write": ["admins"]}],
}
NONSENSE = st.sampled_from(
    [None, 0, -1, True, "", "x", "/", "..", 1.5, float("nan"), [], [1], {}, {"kind": 3}, [[]]]
)


@settings_of(max_examples=60)
@given(st.data())
def test_nothing_breaks_the_words(data: st.DataObject):
    """Whatever stands anywhere, settings come out or problems in words: never another error."""
    tables = deepcopy(RIGHT)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = tables
        while True:
            names = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not names:
                break
            name = data.draw(st.sampled_from(names))
            if isinstance(place[name], (dict, list)) and data.draw(st.booleans()):
                place = place[name]
                continue
            place[name] = deepcopy(data.draw(NONSENSE))
            break
    draft = Draft(None, Path("/srv/hub"), tables)
    draft.lay_over({"LABHUB_HOME_FOLDER": "/x"})
    draft.put_secrets_in({})
    settings = draft.validate()
    problems = draft.sorted_problems()
    assert settings is not None or problems
    assert all(str(problem) for problem in problems)
