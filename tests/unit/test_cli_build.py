"""Builds: certificate authorities, contexts and their hash, streams of the engine."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

from cli.base_image import read_pull_stream
from cli.build import read_build_stream
from cli.build_context import Context, image_names, proxy_arguments, read_context
from cli.certificates import extra_ca_files, read_certificates
from cli.errors import CommandError
from cli.steps import Step
from hub_config.settings import Build

PEM = "-----BEGIN CERTIFICATE-----\nTUlJ{0}\n-----END CERTIFICATE-----\n"
NO_CA = Build(extra_ca_files=())


def step() -> Step:
    return Step(None, "a step")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one image."""
    files = {
        "images/demo/Dockerfile": "FROM scratch\n",
        "images/demo/extra-ca/README.md": "certificates\n",
        "startup_scripts/start.sh": "#!/bin/sh\n",
        "startup_scripts/hooks/run.py": "print()\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "startup_scripts/start.sh").chmod(0o755)
    return tmp_path


def context(
    project: Path, build: Build = NO_CA, environ: Mapping[str, str] | None = None
) -> Context:
    return read_context("demo", build, environ or {}, project)


class TestWhichCertificates:
    """The order: the settings, Debian's folder, PIP_CERT, REQUESTS_CA_BUNDLE."""

    environ: ClassVar = {"PIP_CERT": "/pip.pem", "REQUESTS_CA_BUNDLE": "/requests.pem"}

    def test_settings_come_first(self, tmp_path: Path) -> None:
        (tmp_path / "local.crt").write_text(PEM)
        assert extra_ca_files([Path("/mine.pem")], self.environ, tmp_path) == [Path("/mine.pem")]

    def test_empty_setting_means_none_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "local.crt").write_text(PEM)
        assert extra_ca_files([], self.environ, tmp_path) == []

    def test_local_folder_comes_before_variables(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        for name in ("b.crt", "a.crt", "sub/c.crt", "not-used.pem"):
            (tmp_path / name).write_text(PEM)
        found = extra_ca_files(None, self.environ, tmp_path)
        assert [str(path.relative_to(tmp_path)) for path in found] == [
            "a.crt",
            "b.crt",
            "sub/c.crt",
        ]

    def test_pip_cert_comes_before_requests(self, tmp_path: Path) -> None:
        assert extra_ca_files(None, self.environ, tmp_path) == [Path("/pip.pem")]

    def test_requests_bundle_is_last(self, tmp_path: Path) -> None:
        environ = {"REQUESTS_CA_BUNDLE": "/requests.pem", "PIP_CERT": ""}
        assert extra_ca_files(None, environ, tmp_path) == [Path("/requests.pem")]

    def test_without_any_there_is_none(self, tmp_path: Path) -> None:
        assert extra_ca_files(None, {}, tmp_path / "missing") == []


def test_bundle_is_split_into_one_certificate_per_file(tmp_path: Path) -> None:
    """`update-ca-certificates` takes one certificate per file."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("# first\n" + PEM.format(1) + "\n# second\n" + PEM.format(2))
    found = read_certificates([bundle])
    assert found == {
        "bundle-1.crt": PEM.format(1).encode(),
        "bundle-2.crt": PEM.format(2).encode(),
    }


def test_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ca.crt").write_text(PEM.format(folder))
    found = read_certificates([tmp_path / "a/ca.crt", tmp_path / "b/ca.crt"])
    assert sorted(found.values()) == [PEM.format("a").encode(), PEM.format("b").encode()]


def test_file_without_certificate_is_refused_with_a_way_out(tmp_path: Path) -> None:
    binary = tmp_path / "ca.der"
    binary.write_bytes(b"\x30\x82\x00\xff")
    with pytest.raises(CommandError, match="PEM") as caught:
        read_certificates([binary])
    assert "openssl x509" in caught.value.fix


def test_missing_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"missing\.pem"):
        read_certificates([tmp_path / "missing.pem"])


def test_context_holds_image_scripts_and_certificates(project: Path, tmp_path: Path) -> None:
    (tmp_path / "school.pem").write_text(PEM)
    made = context(project, Build(extra_ca_files=(tmp_path / "school.pem",)))
    with tarfile.open(fileobj=made.tar()) as archive:
        entries = {entry.name: entry for entry in archive}
    assert set(entries) == {
        "images/demo/Dockerfile",
        "images/demo/extra-ca/README.md",
        "images/demo/extra-ca/school.crt",
        "startup_scripts/start.sh",
        "startup_scripts/hooks/run.py",
    }
    assert entries["startup_scripts/start.sh"].mode == 0o755
    assert entries["images/demo/Dockerfile"].mode == 0o644
    assert {(e.uid, e.gid, e.mtime) for e in entries.values()} == {(0, 0, 0)}
    assert made.arguments["EXTRA_CA"] == "school.crt"
    assert made.tag == "labhub/demo:local"


def test_same_sources_give_the_same_bytes_and_hash(project: Path) -> None:
    """Times, owners and leftovers of tools change nothing, so the engine's cache holds."""
    before = context(project)
    start = project / "startup_scripts/start.sh"
    start.touch()
    for leftover in ("__pycache__/run.pyc", ".mypy_cache/x.json", "hooks/old.pyc"):
        path = project / "startup_scripts" / leftover
        path.parent.mkdir(exist_ok=True)
        path.write_text("left over")
    after = context(project)
    assert after.hash() == before.hash()
    assert after.tar().read() == before.tar().read()


def test_every_change_of_the_sources_changes_the_hash(project: Path, tmp_path: Path) -> None:
    hashes = [context(project).hash()]
    (project / "startup_scripts/start.sh").write_text("#!/bin/sh\nexit\n")
    hashes.append(context(project).hash())
    (project / "startup_scripts/start.sh").chmod(0o644)
    hashes.append(context(project).hash())
    (project / "startup_scripts/start.sh").rename(project / "startup_scripts/begin.sh")
    hashes.append(context(project).hash())
    (tmp_path / "school.pem").write_text(PEM)
    with_ca = Build(extra_ca_files=(tmp_path / "school.pem",))
    hashes.append(context(project, with_ca).hash())
    hashes.append(context(project, Build(extra_ca_files=(), base_image="other:1")).hash())
    assert len(set(hashes)) == len(hashes)


def test_hash_does_not_depend_on_http_proxies(project: Path) -> None:
    environ = {"HTTPS_PROXY": "http://user:secret@proxy.example:3128"}
    assert context(project, environ=environ).hash() == context(project).hash()
    assert proxy_arguments(environ) == environ
    assert not set(proxy_arguments(environ)) & set(context(project, environ=environ).arguments)


def test_unknown_image_is_told_the_known_ones(project: Path) -> None:
    with pytest.raises(CommandError, match="nothing") as caught:
        read_context("nothing", NO_CA, {}, project)
    assert "demo" in caught.value.fix


def test_our_images_are_found() -> None:
    assert "notebook" in image_names()


def build_events(*lines: str, **last: Any) -> list[dict[str, Any]]:
    return [{"stream": f"{line}\n"} for line in lines] + ([last] if last else [])


def test_finished_build_passes() -> None:
    events = build_events("Step 1/2 : FROM x", "Successfully built 0123")
    assert read_build_stream(events, step(), "x:1") is None
    assert read_build_stream([{"aux": {"ID": "sha256:0123"}}], step(), "x:1") is None


def test_error_within_the_stream_is_an_error_with_the_last_lines() -> None:
    """The engine answers 200 and says within the stream that the build failed."""
    events = build_events("Step 1/2 : FROM x", "a\nb", error="exit code: 1")
    with pytest.raises(CommandError, match="exit code: 1") as caught:
        read_build_stream(events, step(), "x:1")
    assert caught.value.lines == ("Step 1/2 : FROM x", "a", "b")


def test_only_the_last_lines_are_kept() -> None:
    events = build_events(*map(str, range(1000)), error="no")
    with pytest.raises(CommandError) as caught:
        read_build_stream(events, step(), "x:1")
    assert caught.value.lines == tuple(map(str, range(975, 1000)))


def test_stream_that_breaks_off_is_an_error() -> None:
    with pytest.raises(CommandError, match="broke off"):
        read_build_stream(build_events("Step 1/2 : FROM x"), step(), "x:1")


def test_tls_failure_in_a_build_leads_to_the_ca_setting() -> None:
    events = build_events("SSL: CERTIFICATE_VERIFY_FAILED certificate verify failed", error="1")
    with pytest.raises(CommandError) as caught:
        read_build_stream(events, step(), "x:1")
    assert "extra_ca_files" in caught.value.fix


def test_error_within_a_pull_is_an_error() -> None:
    events = [{"status": "Pulling"}, {"error": "no space left on device"}]
    with pytest.raises(CommandError, match="no space left"):
        read_pull_stream(events, step(), "x:1")


def test_progress_is_printed_once_per_step_where_there_is_no_terminal() -> None:
    """A log gets one line when a long step begins and one with its time when it is done."""
    code = (
        "from rich.console import Console; from cli.steps import Steps\n"
        "with Steps(Console()).step('Building [x]', long=True) as s:\n"
        "    [s.advance_to(n, 5, 'detail') for n in range(5)]\n"
        "    s.text = 'Built [x]'\n"
    )
    run = subprocess.run(
        ["python3", "-c", code],
        env={"PYTHONPATH": ":".join(__import__("sys").path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[0].strip() == "Building [x] ..."
    assert run.stdout.splitlines()[1].strip().endswith("s Built [x]")
    assert len(run.stdout.splitlines()) == 2


def test_terminal_gets_the_same_last_line() -> None:
    console = Console(force_terminal=True, width=80, record=True, quiet=False)
    from cli.steps import Steps  # noqa: PLC0415

    with console.capture() as captured, Steps(console).step("Starting") as running:
        running.advance_to(1, 2, "half")
        running.text = "Started"
    assert "Started" in captured.get().splitlines()[-1]
