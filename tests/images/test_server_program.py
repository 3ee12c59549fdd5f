"""The server program: the same server as JupyterHub's own, whichever way it comes to its owner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Containers

HERE = Path(__file__).parent
FILES = ("hub_without_proxy.py", "sign_in_and_work.py", "findings.py")
PYTHON = "/opt/jupyter/bin/python3"
OURS = 'import sys; sys.path[0] = "/opt/labhub/startup_scripts"\n'
LAZY = """
kinds = {name: type(module).__name__ for name, module in sys.modules.items()}
lazy = sorted(name for name, kind in kinds.items() if kind == "_LazyModule")
"""
# A home with an extension, its configuration and one certificate; then the server itself.
AS_OWNER = """
import os, shutil, subprocess, sys
home, certificates = "/home/alice", open("/etc/ssl/certs/ca-certificates.crt").read()
packages, settings = home + "/.local/lib/python3.11/site-packages", home + "/.local/etc/jupyter"
os.makedirs(packages), os.makedirs(settings + "/jupyter_server_config.d")
shutil.copy("/test/findings.py", packages)
with open(settings + "/jupyter_server_config.d/findings.json", "w") as file:
    file.write('{"ServerApp": {"jpserver_extensions": {"findings": true}}}')
with open(home + "/one.pem", "w") as file:
    file.write(certificates[: certificates.index("-----END")] + "-----END CERTIFICATE-----\\n")
subprocess.run(["chown", "-R", "20001:20001", home], check=True)
environ = {
    **{name: os.environ[name] for name in ("PATH", "LANG", "SHELL")},
    **{"HOME": home, "USER": "alice", "TZ": "Asia/Tokyo", "SSL_CERT_FILE": home + "/one.pem"},
    **{f"JUPYTERHUB_{name}": f"/user/alice/{name}" for name in ("SERVICE_PREFIX", "BASE_URL")},
    **{f"JUPYTERHUB_SSL_{name}": "" for name in ("KEYFILE", "CERTFILE", "CLIENT_CA")},
    "JUPYTERHUB_API_URL": "http://hub.example:8081/hub/api",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:8888/",
    "JUPYTERHUB_API_TOKEN": "token",
}
def drop():
    os.setgroups([]), os.setgid(20001), os.setuid(20001), os.umask(0o027), os.chdir(home)
"""
WAYS = {
    "standby": """
from server.preload import fits, preload
from server.serve import serve
preload()
assert fits(environ)
drop()
serve([], environ)
""",
    "fresh": f"""
drop()
server = "/opt/labhub/startup_scripts/server"
os.execve("{PYTHON}", ["{PYTHON}", "-s", "-B", server], environ)
""",
    "conventional": """
drop()
os.execve("/opt/jupyter/bin/jupyterhub-singleuser", ["jupyterhub-singleuser"], environ)
""",
}


def run(containers: Containers, image: str, *words: str) -> Any:
    """Run Python in a container of the image, without the start chain; return the printed JSON."""
    mounts = {f"/test/{name}": f"{HERE / name}:ro" for name in FILES}
    ended = containers.run(image, list(words), {}, mounts, entrypoint=[PYTHON], timeout=240)
    assert ended.exit_code == 0, ended.log
    return json.loads(ended.output)


def test_it_answers_as_the_hubs_own_does(containers: Containers, image: str) -> None:
    """After a sign-in by OAuth at a real hub pages, API and kernels are the same; what the server
    never needs is not loaded."""
    found = run(containers, image, "/test/sign_in_and_work.py")
    ours, stock = found["alice"], found["bob"]
    assert {page: status for page, (status, _) in ours["pages"].items()} == dict.fromkeys(
        ("lab", "tree", "api/me", "api/contents", "api/kernelspecs", "lab/api/settings"), 200
    )
    assert ours["pages"] == stock["pages"]
    for each in (ours, stock):
        each["kernel"]["environ"].pop("JPY_PARENT_PID")
    assert ours["kernel"] == stock["kernel"]
    assert ours["kernel"]["user_site"][0] is True
    assert set(stock["libraries"]) - set(ours["libraries"]) >= {"sqlalchemy", "cryptography"}
    assert set(ours["libraries"]) <= set(stock["libraries"])


@pytest.mark.parametrize("way", ["standby", "fresh"])
def test_it_is_its_owners(containers: Containers, image: str, way: str) -> None:
    """Nothing is left of the time before there was an owner: an extension of theirs finds what it
    finds in JupyterHub's own server, only that the user's packages come last."""
    program = OURS + AS_OWNER
    ours = run(containers, image, "-s", "-B", "-c", program + WAYS[way])
    stock = run(containers, image, "-s", "-B", "-c", program + WAYS["conventional"])
    assert ours.pop("last") == "/home/alice/.local/lib/python3.11/site-packages"
    assert stock.pop("last") != "/home/alice/.local/lib/python3.11/site-packages"
    assert ours == stock
    assert ours["ours"] == []
    assert ours["certificates"] == 1
    assert ours["session"] == ["alice", "alice"]
    assert "hub.example" in ours["hub"]
    assert ours["zone"] == ["JST", "JST"]


def test_a_package_of_the_users_replaces_none_of_the_servers(
    containers: Containers, image: str
) -> None:
    """A tornado in the user's home is not the server's."""
    broken = (
        "os.mkdir(packages + '/tornado'); open(packages + '/tornado/__init__.py', 'w').close()\n"
    )
    for way in ("standby", "fresh"):
        found = run(containers, image, "-s", "-B", "-c", OURS + AS_OWNER + broken + WAYS[way])
        assert found["tornado"].startswith("/opt/jupyter/"), way


def test_waiting_leaves_nothing_open(containers: Containers, image: str) -> None:
    """After the imports there is one thread and no descriptor; environment, folder and umask are
    as they were, and what is personal is not imported."""
    program = """
import json, os
before = dict(os.environ), os.getcwd()
from server.preload import PERSONAL, preload
preload()
descriptors = []
for name in os.listdir("/proc/self/fd"):
    try:
        os.fstat(int(name))
        descriptors.append(int(name))
    except OSError:
        pass
personal = [name for name in sys.modules if name.startswith(PERSONAL)]
same = (dict(os.environ), os.getcwd()) == before
print(json.dumps([len(os.listdir("/proc/self/task")), sorted(descriptors), personal, same]))
"""
    found = run(containers, image, "-s", "-B", "-c", OURS + program)
    assert found == [1, [0, 1, 2], [], True]


def test_whoever_touches_a_lazy_module_gets_the_real_one(
    containers: Containers, image: str
) -> None:
    """Each lazy module, touched, has what it has in a plain interpreter, and its classes take the
    places that were held for them."""
    program = """
import importlib, json
from server.known import KNOWN
names = [name for _, modules in KNOWN.values() for name in modules]
if sys.argv[1] == "lazy":
    from server.preload import preload
    preload()
LAZY
from jupyterhub import log, utils
import jupyterlab.extensions
for name in names:
    importlib.import_module(name)
    getattr(sys.modules[name], "any name that it does not have", None)
for module in ("sqlalchemy.orm", "jupyterhub.handlers.base", "jupyterhub.app", "IPython.core"):
    importlib.import_module(module)
same = [
    log.HealthCheckHandler is sys.modules["jupyterhub.handlers.pages"].HealthCheckHandler,
    utils.SQLAlchemyError is sys.modules["sqlalchemy.exc"].SQLAlchemyError,
    jupyterlab.extensions.PyPIExtensionManager.__module__ == "jupyterlab.extensions.pypi",
    issubclass(sys.modules["sqlalchemy.exc"].OperationalError, utils.SQLAlchemyError),
]
contents = {name: sorted(set(dir(sys.modules[name])) - {"__builtins__"}) for name in names}
print(json.dumps([lazy, same, contents]))
""".replace("LAZY", LAZY)
    lazy, same, contents = run(containers, image, "-s", "-B", "-c", OURS + program, "lazy")
    none, same_there, plain = run(containers, image, "-s", "-B", "-c", OURS + program, "plain")
    assert (lazy, none) == (sorted(contents), [])
    assert same == same_there == [True] * 4
    assert contents == plain


def test_a_class_that_stands_in_makes_the_real_one(containers: Containers, image: str) -> None:
    """JupyterLab's manager of PyPI is made when its settings ask for it."""
    program = """
import json
from server.preload import preload
preload()
from jupyterlab.extensions import get_pypi_manager
manager = get_pypi_manager({}, {})
print(json.dumps([type(manager).__module__, manager.metadata.name]))
"""
    found = run(containers, image, "-s", "-B", "-c", OURS + program)
    assert found == ["jupyterlab.extensions.pypi", "PyPI"]


def test_an_unknown_version_is_imported_as_usual(containers: Containers, image: str) -> None:
    """Of a package whose version was not tried nothing is lazy, nor of one that goes with it, and
    the log says so."""
    program = """
import io, json
from server import known
known.KNOWN["sqlalchemy"] = (("1.0",), known.KNOWN["sqlalchemy"][1])
sys.stderr = io.StringIO()
from server.preload import preload
preload()
import jupyterhub.orm
LAZY
print(json.dumps([lazy, sys.stderr.getvalue()]))
""".replace("LAZY", LAZY)
    lazy, said = run(containers, image, "-s", "-B", "-c", OURS + program)
    assert lazy == ["IPython", "jupyterlab.extensions.pypi", "requests", "websocket"]
    assert said == "labhub: this version of sqlalchemy is not known, all of it is imported\n"


def test_an_interpreter_fits_or_does_not(containers: Containers, image: str) -> None:
    """One fits where nothing differs that Python, the loader, the C library or a module read."""
    program = """
import json, os
from server.preload import fits, preload
preload()
base = {**os.environ, "HOME": "/home/alice", "USER": "alice", "HOSTNAME": "other",
        "JUPYTERHUB_API_URL": "http://127.0.0.1/hub/api", "TZ": "Asia/Tokyo"}
changes = {"none": {}, "PYTHONPATH": {"PYTHONPATH": "/x"}, "LD_PRELOAD": {"LD_PRELOAD": "x.so"},
           "LANG": {"LANG": "de_DE.UTF-8"}, "LC_ALL": {"LC_ALL": "C"},
           "LANGUAGE": {"LANGUAGE": "de"}, "MALLOC_ARENA_MAX": {"MALLOC_ARENA_MAX": "1"},
           "GLIBC_TUNABLES": {"GLIBC_TUNABLES": "x"},
           "read by a module": {"JUPYTERHUB_METRICS_PREFIX": "other"}}
print(json.dumps({name: fits({**base, **change}) for name, change in changes.items()}))
"""
    found = run(containers, image, "-s", "-B", "-c", OURS + program)
    assert [name for name, fits in found.items() if fits] == ["none"]
    assert len(found) == 9
