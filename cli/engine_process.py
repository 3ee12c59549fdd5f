"""The Docker Engine of this machine: whether it answers, and how it is started.

With systemd the engine is a service as everywhere. Without (a container, a minimal machine) it is
started as a process of its own that outlives the command. An engine at another address than the
standard socket is somebody else's: it is asked, and never started.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from cli.errors import EngineAway
from cli.machine import Machine
from hub_config.settings import Engine

STANDARD_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
ENGINE_LOG = Path("/var/log/dockerd.log")
ENGINE_TIMEOUT_S = 60
KNOCK_TIMEOUT_S = 5
_UNREACHABLE = (docker.errors.DockerException, requests.exceptions.RequestException)


def connect(engine: Engine, timeout_s: float = 60) -> docker.APIClient:
    """Return a client of the engine.

    Raises:
        EngineAway: it does not answer.
    """
    try:
        _knock(engine)
        client = docker.APIClient(base_url=engine.socket, version="auto", timeout=int(timeout_s))
    except PermissionError as error:
        message = f"You may not use the Docker Engine at {engine.socket}"
        raise EngineAway(message, "run the command with sudo") from error
    except (OSError, *_UNREACHABLE) as error:
        message = f"The Docker Engine at {engine.socket} does not answer"
        raise EngineAway(message, "start it: systemctl start docker, or ./labhub up") from error
    return client


def describe_engine(engine: Engine, timeout_s: float = 5) -> dict[str, Any] | None:
    """Return the engine's own description (`docker info`), None when it does not answer."""
    try:
        client = connect(engine, timeout_s)
        with client:
            info: dict[str, Any] = client.info()
            return info
    except (EngineAway, *_UNREACHABLE):
        return None


def start_engine(engine: Engine, machine: Machine) -> subprocess.Popen[bytes] | None:
    """Start the engine and wait until it answers.

    Returns:
        The engine's process when it was started as one, None when systemd has it.

    Raises:
        EngineAway: it is not ours to start, or it does not come up.
    """
    if engine.socket not in STANDARD_SOCKETS:
        raise EngineAway(
            f"The Docker Engine at {engine.socket} does not answer",
            "start it, or change engine.socket",
        )
    if machine.has_systemd:
        _start_service()
        _wait(engine, None)
        return None
    log = os.open(ENGINE_LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o640)
    try:
        process = subprocess.Popen(
            ["dockerd", f"--host={engine.socket}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        raise EngineAway(f"dockerd cannot be started: {error}", "./labhub doctor") from error
    finally:
        os.close(log)
    _wait(engine, process)
    return process


def stop_engine(process: subprocess.Popen[bytes] | None) -> None:
    """Stop an engine that `start_engine` started, and its containers with it."""
    if process is None:
        command = ["systemctl", "stop", "docker.socket", "docker.service"]
        subprocess.run(command, capture_output=True, check=False, timeout=ENGINE_TIMEOUT_S)
        return
    process.terminate()
    try:
        process.wait(ENGINE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _knock(engine: Engine) -> None:
    """Connect to a Unix socket once: the reason is plain here, and docker-py leaks such failures.

    Raises:
        OSError: nobody listens, or we may not connect.
    """
    scheme, _, path = engine.socket.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(KNOCK_TIMEOUT_S)
            probe.connect(path)


def _start_service() -> None:
    done = subprocess.run(
        ["systemctl", "start", "docker"],
        capture_output=True,
        text=True,
        check=False,
        timeout=ENGINE_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise EngineAway(
            "systemd could not start the Docker Engine",
            "journalctl -u docker -n 50",
            done.stderr.splitlines()[-10:],
        )


def _wait(engine: Engine, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + ENGINE_TIMEOUT_S
    while describe_engine(engine) is None:
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            lines = ENGINE_LOG.read_text(errors="replace").splitlines() if process else []
            raise EngineAway(
                "The Docker Engine was started and does not answer",
                f"read {ENGINE_LOG}" if process else "journalctl -u docker -n 50",
                lines[-15:],
            )
        time.sleep(0.2)
