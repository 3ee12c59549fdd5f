"""The notebook image: what is in it, and what it is when it runs."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import docker

from tests.support.containers import STUDENT, Containers, Host

VERIFY = Path(__file__).parents[2] / "images" / "notebook" / "verify"


def test_verify_passes_inside_the_image(containers: Containers, image: str) -> None:
    """The image's own checks pass, with the hub's version of JupyterHub."""
    wanted = {**STUDENT, "VERIFY_JUPYTERHUB": importlib.metadata.version("jupyterhub")}
    ended = containers.run(image, ["/verify"], wanted, {"/verify": f"{VERIFY}:ro"})
    assert ended.exit_code == 0, ended.output
    assert "FAILED" not in ended.output


def test_labels_say_what_the_image_is(client: docker.APIClient, image: str) -> None:
    """Its labels name the image, the version of JupyterHub, the waiter and the extra CAs."""
    labels = client.inspect_image(image)["Config"]["Labels"]
    assert labels["org.labhub.image"] == "notebook"
    assert labels["org.labhub.jupyterhub"] == importlib.metadata.version("jupyterhub")
    assert labels["org.labhub.waiter"] == "1"
    assert "org.labhub.extra-ca" in labels


def test_extra_cas_are_trusted_in_the_image(
    client: docker.APIClient, containers: Containers, image: str
) -> None:
    """Every CA that the label names is in the bundle that programs read."""
    names = client.inspect_image(image)["Config"]["Labels"]["org.labhub.extra-ca"]
    script = """
        cd /usr/local/share/ca-certificates/labhub
        for ca in *.crt; do
            [ -e "$ca" ] || continue
            body=$(sed -n 2p "$ca")
            grep -qxF "$body" /etc/ssl/certs/ca-certificates.crt && echo "$ca"
        done | paste -sd,
    """
    ended = containers.run(image, ["bash", "-c", script])
    assert ended.output.strip() == names


def test_what_pip_installs_survives_a_restart(host: Host) -> None:
    """A package in the home is there for the kernel of the next container."""
    packaging = """
        import sys, zipfile
        with zipfile.ZipFile("/tmp/kept-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("kept.py", "answer = 42\\n")
            for name, text in (
                ("METADATA", "Metadata-Version: 2.1\\nName: kept\\nVersion: 1.0\\n"),
                ("WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"),
                ("RECORD", ""),
            ):
                wheel.writestr(f"kept-1.0.dist-info/{name}", text)
    """
    program = "\n".join(line[8:] for line in packaging.splitlines())
    script = f"python3 -c '{program}' && pip install -q --no-index /tmp/kept-1.0-py3-none-any.whl"
    first = host.run(script)
    assert first.exit_code == 0, first.log
    second = host.run("ipython -c 'import kept; print(kept.answer)'")
    assert second.output.strip() == "42", second.log


def test_a_server_answers_without_a_hub(containers: Containers, image: str) -> None:
    """The image's own command starts JupyterLab where no hub has started the container."""
    made = containers.client.create_container(
        image,
        labels=containers.labels,
        host_config=containers.client.create_host_config(network_mode="none"),
    )["Id"]
    containers.client.start(made)
    probe = (
        "import time, urllib.request\n"
        "for _ in range(200):\n"
        "    try:\n"
        "        print(urllib.request.urlopen('http://127.0.0.1:8888/api').read()); break\n"
        "    except OSError:\n"
        "        time.sleep(0.1)\n"
    )
    run = containers.client.exec_create(made, ["/opt/jupyter/bin/python3", "-c", probe])["Id"]
    assert b"version" in containers.client.exec_start(run)
    containers.client.stop(made, timeout=10)
    assert containers.client.inspect_container(made)["State"]["ExitCode"] in (0, 143)


def test_a_container_that_is_not_root_warns_and_starts(containers: Containers, image: str) -> None:
    """Without root the account cannot be prepared: the chain says so and runs the command."""
    ended = containers.run(image, ["id", "-u"], user="1000:100", cap_add=[])
    assert (ended.exit_code, ended.output.strip()) == (0, "1000")
    assert "not started as root" in ended.log
