"""The operators' hooks: what runs, as whom, for how long, and what is told about it."""

from __future__ import annotations

import re
import stat

import pytest

from tests.support.containers import ADMIN, Ended, Host

SAY_WHO = "#!/bin/sh\nid -u; pwd; umask; env | sort\n"


def outcome(ended: Ended, step: str) -> tuple[str, object]:
    """Return the state and the exit code that were reported for a step."""
    line = ended.step(step)
    return line["state"], line["exit_code"]


def test_both_hooks_run_before_the_command(host: Host) -> None:
    """as-root.sh runs as root, then as-user.sh as the user in the home, then the command."""
    host.hook("as-root.sh", "#!/bin/sh\nid -u\ndate +%s%N >/tmp/root\n")
    host.hook("as-user.sh", "#!/bin/sh\nid; pwd; umask; date +%s%N >user\n")
    ended = host.run(
        "cat /tmp/root ~/user; date +%s%N",
        environment={"LABHUB_EXTRA_GROUPS": "data:30001", "NB_UMASK": "0027"},
    )
    times = [int(line) for line in ended.output.split()]
    assert times == sorted(times)
    assert len(times) == 3
    assert host.log("as-root").splitlines() == ["0"]
    assert host.log("as-user").splitlines() == [
        "uid=20001(alice) gid=20001(alice) groups=20001(alice),30001(data)",
        "/home/alice",
        "0027",
    ]


def test_every_step_is_reported(host: Host) -> None:
    """The report has one JSON object a line with the fields that the hub reads."""
    host.hook("as-root.sh", "#!/bin/sh\nsleep 0.3\n")
    ended = host.run()
    assert [(line["step"], line["state"]) for line in ended.report] == [
        ("start-notebook.d", "done"),
        ("account", "done"),
        ("as-root", "running"),
        ("as-root", "done"),
        ("as-user", "skipped"),
        ("before-notebook.d", "done"),
        ("server", "running"),
    ]
    fields = {"step", "state", "message", "seconds", "exit_code", "time"}
    assert all(set(line) == fields for line in ended.report)
    assert 0.3 <= ended.step("as-root")["seconds"] < 5
    assert "as-user.sh" in ended.step("as-user")["message"]
    assert stat.S_IMODE((host.runtime / "report.jsonl").stat().st_mode) & 0o077 in (0, 0o044)
    assert all(len(line["message"]) <= 300 for line in ended.report)


def test_logs_belong_to_the_admins_and_are_closed_to_others(host: Host) -> None:
    """NAME-as-root.log and NAME-as-user.log, 0640, owned by admin, and nothing else is left."""
    host.hook("as-root.sh", "#!/bin/sh\necho one; echo two >&2\n")
    host.hook("as-user.sh", "#!/bin/sh\necho three\n")
    (host.logs / ".alice-as-root.log.new").write_text("of a start that was cut off")
    host.run()
    assert sorted(path.name for path in host.logs.iterdir()) == [
        "alice-as-root.log",
        "alice-as-user.log",
    ]
    for path in host.logs.iterdir():
        found = path.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (*ADMIN, 0o640)
    assert host.log("as-root") == "one\ntwo\n"
    assert host.log("as-user") == "three\n"


def test_a_log_is_that_of_the_last_start(host: Host) -> None:
    """A second start replaces the log."""
    host.hook("as-root.sh", "#!/bin/sh\necho first\n")
    host.run()
    host.hook("as-root.sh", "#!/bin/sh\necho second\n")
    host.run()
    assert host.log("as-root") == "second\n"


def test_hooks_get_a_clean_environment(host: Host) -> None:
    """Neither hook sees a token or a variable that is not meant for it."""
    host.hook("as-root.sh", SAY_WHO)
    host.hook("as-user.sh", SAY_WHO)
    secrets = {
        "JUPYTERHUB_API_TOKEN": "canary-1",
        "JPY_API_TOKEN": "canary-2",
        "OPENBIS_TOKEN": "canary-3",
        "BASH_ENV": "/home/alice/evil",
        "LD_PRELOAD": "",
        "PYTHONPATH": "/home/alice",
    }
    public = {"JUPYTERHUB_USER": "alice", "COURSE_REPO": "/repo", "MINE": "yes"}
    ended = host.run(environment={**secrets, **public, "LABHUB_HOOK_ENV": "MINE"})
    for step in ("as-root", "as-user"):
        log = host.log(step)
        assert "canary" not in log
        assert not any(f"{name}=" in log for name in secrets)
        for line in ("NB_USER=alice", "NB_UID=20001", "COURSE_REPO=/repo", "MINE=yes"):
            assert line in log.splitlines()
        assert "canary" not in ended.log
    assert "HOME=/root" in host.log("as-root")
    assert "HOME=/home/alice" in host.log("as-user")
    assert re.search("^PATH=/opt/jupyter/bin:", host.log("as-user"), re.MULTILINE)
    assert "jupyter" not in next(
        line for line in host.log("as-root").splitlines() if line.startswith("PATH=")
    )


def test_the_users_hook_has_no_way_to_root(host: Host) -> None:
    """as-user.sh has no capabilities and cannot gain any, also where sudo is granted."""
    host.hook("as-user.sh", "#!/bin/sh\ngrep -E '^(Cap|NoNew)' /proc/self/status; sudo -n id -u\n")
    host.run(environment={"GRANT_SUDO": "yes"})
    values = dict(line.split(":\t") for line in host.log("as-user").splitlines() if ":\t" in line)
    assert values.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in values.values()} == {0}


@pytest.mark.parametrize("step", ["as-root", "as-user"])
def test_a_failing_hook_is_a_warning(host: Host, step: str) -> None:
    """The real exit status is reported, and the server starts all the same."""
    host.hook(f"{step}.sh", "#!/bin/sh\necho before\nexit 7\n")
    ended = host.run("echo started")
    assert ended.output.strip() == "started"
    assert outcome(ended, step) == ("warning", 7)
    assert "exit code 7" in ended.step(step)["message"]
    assert "starts all the same" in ended.step(step)["message"]
    assert host.log(step) == "before\n"


@pytest.mark.parametrize("step", ["as-root", "as-user"])
def test_a_failing_hook_that_is_required_refuses_the_start(host: Host, step: str) -> None:
    """The container ends with 78, nothing after the hook runs, and the report says which it was."""
    host.hook(f"{step}.sh", "#!/bin/sh\nexit 7\n")
    name = "LABHUB_HOOK_" + step.upper().replace("-", "_")
    ended = host.run("echo started", environment={name: "required"})
    assert (ended.exit_code, ended.output) == (78, "")
    assert outcome(ended, step) == ("failed", 7)
    assert ended.report[-1]["step"] == step
    assert f"{step}.sh has failed" in ended.step(step)["message"]


def test_a_required_hook_that_is_missing_refuses_the_start(host: Host) -> None:
    """A folder that is not mounted does not let anybody start without a required hook."""
    ended = host.run("echo started", environment={"LABHUB_HOOK_AS_ROOT": "required"})
    assert (ended.exit_code, ended.output) == (78, "")
    assert "No such file" in ended.step("as-root")["message"]


def test_missing_hooks_are_skipped(host: Host) -> None:
    """No hooks, or no folder at all, is no failure."""
    assert outcome(host.run(), "as-root") == ("skipped", None)
    host.mounts.pop("/run/labhub/hooks")
    host.start.rmdir()
    ended = host.run("echo started")
    assert ended.output.strip() == "started"
    assert outcome(ended, "as-user") == ("skipped", None)


@pytest.mark.parametrize("step", ["as-root", "as-user"])
def test_a_hanging_hook_is_ended_with_all_it_started(host: Host, step: str) -> None:
    """After the time limit no process of the hook is left, whatever session it hid in."""
    host.hook(
        f"{step}.sh",
        "#!/bin/bash\ntrap '' TERM INT HUP\necho begun\n"
        "sleep 301 &\nsetsid sleep 302 &\n(setsid bash -c 'sleep 303 & sleep 304' &)\n"
        "while :; do sleep 305; done\n",
    )
    ended = host.run(
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        environment={"LABHUB_HOOK_TIME_LIMIT_S": "1"},
    )
    assert "sleep" not in ended.output
    state, code = outcome(ended, step)
    assert state == "warning"
    assert isinstance(code, int)
    assert code < 0
    assert "longer than 1 s" in ended.step(step)["message"]
    assert 1 <= ended.step(step)["seconds"] < 6
    assert host.log(step) == "begun\n"


def test_a_hook_may_tidy_up_when_its_time_is_over(host: Host) -> None:
    """It is told to end first, and only then killed."""
    host.hook("as-user.sh", "#!/bin/bash\ntrap 'echo tidied; exit 3' TERM\nsleep 60 & wait\n")
    ended = host.run(environment={"LABHUB_HOOK_TIME_LIMIT_S": "1"})
    assert outcome(ended, "as-user") == ("warning", 3)
    assert host.log("as-user") == "tidied\n"


def test_a_fork_bomb_is_ended(host: Host) -> None:
    """A hook that starts processes faster than they can be killed one by one ends, too."""
    host.hook("as-user.sh", "#!/bin/bash\nbomb() { bomb | bomb & }\nbomb\nsleep 60\n")
    ended = host.run(
        "cat /proc/[0-9]*/comm | sort -u",
        environment={"LABHUB_HOOK_TIME_LIMIT_S": "1"},
        pids_limit=200,
    )
    assert ended.step("as-user")["state"] == "warning"
    assert "as-user.sh" not in ended.output


def test_daemons_that_a_hook_leaves_behind_are_ended(host: Host) -> None:
    """A hook that succeeds is done, and what it left running is ended; the report says so."""
    host.hook("as-user.sh", "#!/bin/sh\nsetsid sleep 301 >/dev/null 2>&1 &\necho done\n")
    host.hook("as-root.sh", "#!/bin/sh\nsetsid sleep 302 &\n")
    ended = host.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleep" not in ended.output
    for step in ("as-root", "as-user"):
        assert outcome(ended, step) == ("done", 0)
        assert "left behind" in ended.step(step)["message"]
        assert ended.step(step)["seconds"] < 5


def test_output_that_is_still_on_its_way_is_kept(host: Host) -> None:
    """The end of a pipe that the hook did not wait for reaches the log and is no daemon."""
    host.hook("as-root.sh", "#!/bin/bash\nexec > >(sleep 0.05; cat)\necho late\n")
    ended = host.run()
    assert host.log("as-root") == "late\n"
    assert ended.step("as-root")["message"] == "as-root.sh is done."


def test_a_flooding_hook_is_cut_and_not_held_up(host: Host) -> None:
    """The log stops at its limit and says so; the hook itself goes on to its end."""
    host.hook("as-root.sh", "#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' x\nexit 4\n")
    ended = host.run(environment={"LABHUB_HOOK_OUTPUT_LIMIT_KIB": "64"})
    assert outcome(ended, "as-root") == ("warning", 4)
    assert "64 KiB" in ended.step("as-root")["message"]
    log = host.log("as-root")
    assert log.startswith("x" * 65536 + "\n[labhub: ")
    assert len(log) < 65536 + 200


def test_an_endless_flood_ends_with_the_time_limit(host: Host) -> None:
    """Output without end does not outlast the time limit."""
    host.hook("as-user.sh", "#!/bin/sh\nyes & yes\n")
    ended = host.run("echo started", environment={"LABHUB_HOOK_TIME_LIMIT_S": "1"})
    assert ended.output.strip() == "started"
    assert "longer than 1 s" in ended.step("as-user")["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/bin/sh\r\necho hi\r\n", "Windows line ends"),
        (b"echo hi\r\n", "Windows line ends"),
        (b"#!/bin/basj\necho hi\n", "names no program"),
        (b"#!/usr/bin/env -S ruby3 -w\nputs 1\n", "names no program"),
        (b"#!\necho hi\n", "names no program"),
        (b"#!bash\necho hi\n", "names no program"),
        (b"", "is empty"),
        (b"\n  \n", "is empty"),
        (b"\xef\xbb\xbf#!/bin/sh\necho hi\n", "byte order mark"),
        (b"#!/bin/sh\n\0\0\0", "not plain text"),
        (b"\x7fELF nonsense", "could not be started"),
    ],
)
def test_what_is_no_script_is_said_in_words(host: Host, content: bytes, words: str) -> None:
    """A file that cannot be run is a failure with a message for its operator."""
    host.hook("as-root.sh", content)
    ended = host.run("echo started")
    assert ended.output.strip() == "started"
    assert ended.step("as-root")["state"] == "warning"
    assert words in ended.step("as-root")["message"]


@pytest.mark.parametrize(
    ("content", "mode", "log"),
    [
        ("#!/bin/sh\necho ran\n", 0o644, "ran\n"),
        ("echo $BASH_VERSINFO | grep -c .\n", 0o644, "1\n"),
        ("#!/usr/bin/env -S python3 -u\nprint('ran')\n", 0o755, "ran\n"),
        ("#! /bin/bash -e\nfalse\necho no\n", 0o755, ""),
        ('#!/bin/sh\nbasename "$0"\n', 0o755, "as-user.sh\n"),
    ],
)
def test_hooks_run_by_their_first_line(host: Host, content: str, mode: int, log: str) -> None:
    """The first line says how, the x bit is not needed, and without a first line bash runs it."""
    host.hook("as-user.sh", content, mode)
    host.run()
    assert host.log("as-user") == log


def test_a_hook_ended_by_a_signal_is_said(host: Host) -> None:
    """A negative exit code and the signal's name."""
    host.hook("as-root.sh", "#!/bin/sh\nkill -SEGV $$\n")
    ended = host.run()
    assert outcome(ended, "as-root") == ("warning", -11)
    assert "SIGSEGV" in ended.step("as-root")["message"]


def test_a_full_log_disk_does_not_stop_the_hook(host: Host) -> None:
    """Where the log cannot be written the hook runs to its end, and the report says so."""
    host.hook("as-root.sh", "#!/bin/sh\nhead -c 3000000 /dev/zero\necho end >/ended\n")
    host.mounts.pop("/run/labhub/logs")
    ended = host.run("cat /ended", tmpfs={"/run/labhub/logs": "size=64k,mode=0750"})
    assert ended.output.strip() == "end"
    assert ended.step("as-root")["state"] == "warning"
    assert "No space left" in ended.step("as-root")["message"]


def test_a_hook_is_tried_without_a_hub(host: Host) -> None:
    """By `docker run` with the seed's folders the output of hooks is shown, and logs are kept."""
    host.hook("as-root.sh", "#!/bin/sh\necho from root\n")
    host.hook("as-user.sh", "#!/bin/sh\necho from user\nexit 5\n")
    mounts = {"/home/admin/start": f"{host.start}:ro", "/home/admin/logs": str(host.logs)}
    names = {"NB_USER": "bob", "NB_UID": "20002", "NB_GID": "20002"}
    ended = host.containers.run(host.image, ["true"], names, mounts)
    assert ended.exit_code == 0
    for words in ("from root", "from user", "as-user.sh has failed (exit code 5)"):
        assert words in ended.log
    assert (host.logs / "bob-as-root.log").read_text() == "from root\n"
