"""The image's own hooks, start-notebook.d and before-notebook.d, run as docker-stacks runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.containers import Host


@pytest.fixture
def drop_in(host: Host, tmp_path: Path) -> Drop:
    """Mount files into the folders of the image's hooks."""
    return Drop(host, tmp_path)


class Drop:
    """Adds hooks to the image, by mounts."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host, self._folder = host, folder

    def __call__(self, name: str, content: str, mode: int = 0o644, when: str = "before") -> None:
        """Add one hook."""
        path = self._folder / name
        path.write_text(content)
        path.chmod(mode)
        self._host.mounts[f"/usr/local/bin/{when}-notebook.d/{name}"] = f"{path}:ro"


def test_scripts_are_sourced_and_programs_are_run(host: Host, drop_in: Drop) -> None:
    """In the order of their names; what is neither is ignored."""
    drop_in("10-program", "#!/bin/sh\necho 10 $(id -u) >>/tmp/order\n", 0o755)
    drop_in("20-script.sh", 'echo 20 $NB_USER "$BASH" >>/tmp/order\n')
    drop_in("30-nothing", "#!/bin/sh\necho 30 >>/tmp/order\n")
    drop_in("40-start.sh", "echo start >>/tmp/order\n", when="start")
    ended = host.run("cat /tmp/order")
    assert ended.output.splitlines() == ["start", "10 0", "20 alice /bin/bash"]


def test_what_a_script_exports_lasts(host: Host, drop_in: Drop) -> None:
    """Variables reach the command, with every character; removed ones are gone."""
    drop_in(
        "10-set.sh", "export ONE=$'a b\\n\"c\\' $d'\nexport GONE\nunset GONE REMOVED\nlocal_one=1\n"
    )
    drop_in("20-see.sh", 'export TWO="seen: $ONE"\n')
    ended = host.run(
        'printf "%s|%s|%s" "$ONE" "$TWO" "${REMOVED-none}"', environment={"REMOVED": "there"}
    )
    assert ended.output == "a b\n\"c' $d|seen: a b\n\"c' $d|none"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("exit 3\n", 3),
        ("set -e\nfalse\n", 1),
        ("set -u\necho $NOT_SET\n", 1),
        ("return 4\n", 4),
        ("if then\n", 2),
        ("exec false\n", 1),
    ],
)
def test_a_script_cannot_end_the_start(host: Host, drop_in: Drop, content: str, code: int) -> None:
    """Whatever it does ends the hook only; the failure is told, and the next hook runs."""
    drop_in("10-bad.sh", content)
    drop_in("20-next.sh", "export NEXT=ran\n")
    ended = host.run("echo $NEXT")
    assert ended.output.strip() == "ran"
    warnings = [line["message"] for line in ended.report if line["state"] == "warning"]
    assert len(warnings) == 1
    assert f"10-bad.sh has failed (exit code {code})" in warnings[0]


def test_options_of_a_script_do_not_leak(host: Host, drop_in: Drop) -> None:
    """A hook's `set -e` does not make a later failing program end the start."""
    drop_in("10-options.sh", "set -euo pipefail\nshopt -s nullglob\ncd /var\n")
    drop_in("20-fails", "#!/bin/sh\npwd\nexit 1\n", 0o755)
    ended = host.run("echo started")
    assert ended.output.split() == ["/var", "started"]


def test_a_hook_may_refuse_the_start(host: Host, drop_in: Drop) -> None:
    """LABHUB_START_REFUSED is how a hook of the image stops the start; nothing after it runs."""
    drop_in("10-no.sh", "export LABHUB_START_REFUSED=1\nexit 78\n")
    drop_in("20-next.sh", "echo next\n")
    ended = host.run("echo ran")
    assert (ended.exit_code, ended.output) == (78, "")


def test_refusing_cannot_be_asked_for_from_outside(host: Host) -> None:
    """The variable counts only where a hook sets it."""
    assert host.run("echo ran", environment={"LABHUB_START_REFUSED": "1"}).exit_code == 0
