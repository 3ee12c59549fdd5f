"""`labhub check-config`, through the command line's own way of telling errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer import Typer
from typer.testing import CliRunner

from cli.check_config import check_config, notes
from hub_config.loading import SettingsError
from hub_config.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]

app = Typer()
app.command()(check_config)


def run(config: Path) -> tuple[str, BaseException | None]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--config", str(config)])
    return result.output, result.exception


def test_right_settings(tmp_path: Path):
    """What the settings amount to is told in a few lines."""
    hub_toml = tmp_path / "hub.toml"
    hub_toml.write_text(
        '[[profile]]\nname = "gpu"\nimage = "x/gpu:1"\ngroups = ["tas"]\nsudo = true\n'
    )
    output, exception = run(hub_toml)
    assert exception is None
    for text in (
        f"{hub_toml} is fine:",
        "http://127.0.0.1:8000/",
        "demo mode, three generated logins",
        "gpu: x/gpu:1, for tas",
        f"in {tmp_path}/data/homes",
        "admin at /home/admin, written by admins",
        "profile gpu grants sudo",
    ):
        assert text in output


def test_other_sign_ins_and_homes(tmp_path: Path):
    """GitHub, homes on NFS and in volumes are told as what they are."""
    hub_toml = tmp_path / "hub.toml"
    hub_toml.touch(0o600)
    login = '[login.github]\nclient_id = "a"\nclient_secret = "b"\norganization = "my-course"\n'
    nfs = '[home]\nkind = "nfs"\nserver = "n"\nexport = "/homes"\n'
    hub_toml.write_text(login + nfs)
    output, _ = run(hub_toml)
    assert "GitHub, organisation my-course" in output
    assert "on n, /homes" in output
    hub_toml.write_text('[home]\nkind = "volume"\n')
    assert "volumes of the engine, driver local" in run(hub_toml)[0]


def test_wrong_settings_are_left_to_the_program(tmp_path: Path):
    """The command raises; the one place that prints errors prints them all."""
    hub_toml = tmp_path / "hub.toml"
    hub_toml.write_text("[hub]\nprot = 1\nport = 0\n")
    _, exception = run(hub_toml)
    assert isinstance(exception, SettingsError)
    assert len(exception.problems) == 2


def test_the_program_tells_all_errors_and_ends_with_1(tmp_path: Path):
    """As an operator sees it."""
    hub_toml = tmp_path / "hub.toml"
    hub_toml.write_text("[hub]\nprot = 1\nport = 0\n")
    command = [sys.executable, "-m", "cli", "check-config", "--config", str(hub_toml)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "hub.prot: unknown; did you mean hub.port?" in done.stderr
    assert "hub.port: must be 1 or more; it is 0" in done.stderr


def test_a_proxy_without_tls_is_noted():
    """It is allowed, for a closed network, but worth a thought."""
    login = {"github": {"client_id": "a", "client_secret": "b", "organization": "c"}}
    public = {"hub": {"public_url": "http://hub.example.org"}, "login": login}
    assert any("without TLS" in note for note in notes(Settings.model_validate(public)))
    public["hub"]["public_url"] = "https://hub.example.org"
    assert not any("without TLS" in note for note in notes(Settings.model_validate(public)))
    public["hub"]["subdomain_host"] = "https://hub.example.org"
    assert not list(notes(Settings.model_validate(public)))
