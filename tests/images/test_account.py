"""The account that the start chain prepares from NB_USER and its companions."""

from __future__ import annotations

import os

import pytest

from tests.support.containers import Containers, Host

PROC_STATUS = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status"


def test_the_command_runs_as_the_user_in_the_home(host: Host) -> None:
    """Name, ids, groups, home, working directory and umask are those of the settings."""
    extra = {"LABHUB_EXTRA_GROUPS": "admin:996,data:30001", "NB_UMASK": "0027"}
    ended = host.run("id; pwd; umask; echo $HOME $USER $LOGNAME", environment=extra)
    assert ended.output.splitlines() == [
        "uid=20001(alice) gid=20001(alice) groups=20001(alice),996(admin),30001(data)",
        "/home/alice",
        "0027",
        "/home/alice alice alice",
    ]
    assert ended.step("account")["state"] == "done"
    assert ended.step("server")["state"] == "running"


def test_no_way_leads_back_to_root(host: Host) -> None:
    """No capability is left in any set, new ones cannot be gained, and setuid files do nothing."""
    (host.home / "setuid").write_bytes(b"")
    script = f"""{PROC_STATUS}; sudo -n id -u; cp /usr/bin/id ~/own-id; chmod 4755 ~/own-id
        /usr/bin/setuid-id -u; su root -c id </dev/null"""
    host.hook(
        "as-root.sh",
        "#!/bin/sh\ncp /usr/bin/id /usr/bin/setuid-id\nchmod 4755 /usr/bin/setuid-id\n",
    )
    ended = host.run(script)
    lines = dict(line.split(":\t") for line in ended.output.splitlines() if ":\t" in line)
    assert lines.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in lines.values()} == {0}
    assert len(lines) == 5
    assert ended.output.splitlines()[6:] == [str(host.uid)]


def test_sudo_works_only_where_it_is_granted(host: Host) -> None:
    """GRANT_SUDO gives root by sudo, with the capability that the hub adds for it."""
    ended = host.run(
        "sudo -n id -u",
        environment={"GRANT_SUDO": "yes"},
        cap_add=[
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "SETUID",
            "SETGID",
            "SETPCAP",
            "KILL",
            "AUDIT_WRITE",
        ],
    )
    assert ended.output.strip() == "0", ended.log


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("NB_UID", "0", "never runs as root"),
        ("NB_UID", "00", "never runs as root"),
        ("NB_UID", "-1", "never runs as root"),
        ("NB_UID", "4294967295", "never runs as root"),
        ("NB_GID", "0", "never runs as root"),
        ("NB_USER", "root", "never runs as root"),
        ("NB_USER", "../etc", "no possible account name"),
        ("NB_USER", "a:0:0", "no possible account name"),
        ("NB_USER", "-rf", "no possible account name"),
        ("NB_USER", "a\nroot2:x:0:0::/:/bin/sh", "no possible account name"),
        ("NB_UMASK", "0999", "must be octal"),
        ("LABHUB_EXTRA_GROUPS", "wheel:0", "without group 0"),
        ("LABHUB_EXTRA_GROUPS", "a:b:c", "without group 0"),
    ],
)
def test_an_impossible_account_is_refused_in_words(
    host: Host, name: str, value: str, words: str
) -> None:
    """The container ends with 78 before the command runs, and the report says why."""
    ended = host.run("echo ran", environment={name: value})
    assert (ended.exit_code, ended.output) == (78, "")
    assert ended.step("account")["state"] == "failed"
    assert words in ended.step("account")["message"]


@pytest.mark.parametrize("user", ["mail", "sudo", "jovyan", "1234", "A.b-c_d", "a" * 63])
def test_names_that_are_special_become_plain_users(
    containers: Containers, image: str, tmp_path_factory: pytest.TempPathFactory, user: str
) -> None:
    """A name of the image's own, a number or a long name is the user's, without its rights."""
    host = Host(containers, image, tmp_path_factory.mktemp("special") / "host", user=user)
    ended = host.run("id -u; id -un; id -G; echo ~; sudo -n true 2>/dev/null && echo root")
    assert ended.output.splitlines() == ["20001", user, "20001", f"/home/{user}"]


def test_a_uid_of_the_image_has_the_users_name(host: Host) -> None:
    """The uid of an account of the image shows the user's name, also in file listings."""
    os.chown(host.home, 33, 33)
    ended = host.run("id; ls -ld ~", environment={"NB_UID": "33", "NB_GID": "33"})
    assert ended.output.startswith("uid=33(alice) gid=33(www-data)")
    assert " alice www-data " in ended.output


def test_jovyan_is_renamed(host: Host) -> None:
    """As in docker-stacks images the account jovyan is gone when the user is another."""
    ended = host.run("getent passwd jovyan || echo gone; getent passwd alice")
    assert ended.output.splitlines() == ["gone", "alice:*:20001:20001::/home/alice:/bin/bash"]


def test_an_empty_home_gets_its_first_files(host: Host) -> None:
    """An empty home (a new volume's lost+found apart) gets the skeleton, owned by the user."""
    (host.home / "lost+found").mkdir(mode=0o700)
    assert host.run().exit_code == 0
    names = {path.name for path in host.home.iterdir()}
    assert {".bashrc", ".profile"} <= names
    assert (host.home / ".bashrc").stat().st_uid == host.uid
    assert host.home.stat().st_mode & 0o777 == 0o700


def test_a_home_in_use_is_left_as_it_is(host: Host) -> None:
    """A home that holds anything is neither filled nor given away."""
    mine = host.home / "mine.txt"
    mine.write_text("mine")
    assert host.run().exit_code == 0
    assert [path.name for path in host.home.iterdir()] == ["mine.txt"]
    assert mine.stat().st_uid == 0


def test_a_missing_home_is_made(host: Host) -> None:
    """Where nothing is mounted the home is made, for the user alone."""
    del host.mounts["/home/alice"]
    ended = host.run("stat -c '%u %g %a' ~")
    assert ended.output.strip() == "20001 20001 700"


def test_a_new_volume_of_roots_becomes_the_users(host: Host) -> None:
    """An empty home of root's, as the engine makes volumes, is given to the user."""
    os.chown(host.home, 0, 0)
    host.home.chmod(0o755)
    ended = host.run("touch ~/works && stat -c '%u %a' ~")
    assert ended.output.strip() == "20001 700"


def test_a_home_of_somebody_else_is_a_warning(host: Host) -> None:
    """A home that the user cannot write to is said in words, and the start goes on."""
    (host.home / "file").touch()
    os.chown(host.home, 4711, 4711)
    ended = host.run("echo started")
    assert ended.output.strip() == "started"
    warning = next(line for line in ended.report if line["state"] == "warning")
    assert "belongs to user id 4711" in warning["message"]


def test_a_home_that_is_a_link_is_refused(host: Host) -> None:
    """Root never works through a link that stands where the home should be."""
    del host.mounts["/home/alice"]
    (host.folder / "homes").mkdir()
    (host.folder / "homes" / "alice").symlink_to("/victims")
    host.mounts["/home"] = str(host.folder / "homes")
    ended = host.run("echo ran")
    assert (ended.exit_code, ended.output) == (78, "")
    assert "symbolic link" in ended.step("account")["message"]
    assert host.victim_is_untouched()


def test_chown_home_follows_no_link(host: Host) -> None:
    """CHOWN_HOME gives away files, but neither what links point to nor a file's other names."""
    folder = host.home / "folder"
    folder.mkdir()
    (folder / "file").touch()
    (folder / "link").symlink_to("/victims/victim")
    (folder / "folder-link").symlink_to("/victims")
    second = host.folder / "second-name"
    second.touch()
    os.link(second, folder / "hard")
    ended = host.run(
        "stat -c '%u %n' folder folder/file",
        environment={"CHOWN_HOME": "yes", "CHOWN_HOME_OPTS": "-R"},
    )
    assert ended.output.splitlines() == ["20001 folder", "20001 folder/file"]
    assert second.stat().st_uid == 0
    assert host.victim_is_untouched()


def test_a_container_that_starts_again_follows_no_link(host: Host) -> None:
    """What the user left in the container's own folders does not lead root anywhere."""
    script = """
        rm -rf /var/lib/labhub/runtime
        ln -s /victims /var/lib/labhub/runtime
        rm -rf ~/.bashrc; ln -s /victims/victim ~/.bashrc
        id -u
    """
    first = host.run(script)
    client = host.containers.client
    client.start(first.container)
    assert client.wait(first.container)["StatusCode"] == 0
    assert client.logs(first.container, stderr=False).split() == [b"20001", b"20001"]
    assert host.victim_is_untouched()
    assert host.victims.stat().st_uid == 0


def test_the_server_gets_what_is_meant_for_it(host: Host) -> None:
    """The hub's variables reach it; what was for the start only, or is listed, does not."""
    variables = {
        "JUPYTERHUB_API_TOKEN": "token",
        "LC_ALL": "C.UTF-8",
        "SECRET_A": "a",
        "SECRET_B": "b",
        "JUPYTER_ENV_VARS_TO_UNSET": "SECRET_A,SECRET_B",
    }
    names = {line.split("=")[0] for line in host.run("env", environment=variables).output.split()}
    assert {"JUPYTERHUB_API_TOKEN", "LC_ALL", "NB_USER", "LABHUB_LOCAL"} <= names
    assert not names & {"SECRET_A", "SECRET_B", "LABHUB_HOOK_FOLDER", "LABHUB_ADMIN_UID"}
