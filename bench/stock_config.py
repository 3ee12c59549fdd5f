"""JupyterHub's configuration of the stock hub, loaded by its process.

The spawner is configured as by jupyterhub-deploy-docker's `basic-example/jupyterhub_config.py`, and
what that leaves alone is left alone here: all waits, limits and threads are the defaults of
JupyterHub and DockerSpawner.
"""

import json
import os
from pathlib import Path

facts = json.loads(Path(os.environ["LABHUB_CONFIG"]).with_name("bench.json").read_text())
c = get_config()  # type: ignore[name-defined]  # noqa: F821 (JupyterHub defines get_config)

# As jupyterhub-deploy-docker sets them.
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = facts["image"]
c.DockerSpawner.cmd = "jupyterhub-singleuser"  # there a script of docker-stacks that ends in it
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.network_name = facts["network"]
c.DockerSpawner.notebook_dir = "/home/jovyan/work"
c.DockerSpawner.volumes = {facts["volume"]: "/home/jovyan/work"}
c.DockerSpawner.remove = True
c.JupyterHub.cookie_secret_file = facts["cookie_secret_file"]
c.JupyterHub.db_url = facts["db_url"]
# Not taken over: debug = True, which only logs, and NativeAuthenticator: JupyterHub's dummy does
# the signing in, which happens before anything is measured.
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = facts["password"]
c.Authenticator.allow_all = True

# Of this machine: where hub and proxy are, and names by which everything is found and removed.
c.JupyterHub.bind_url = facts["bind_url"]
c.JupyterHub.hub_bind_url = facts["hub_bind_url"]
c.ConfigurableHTTPProxy.should_start = False  # started beforehand, as for labhub
c.ConfigurableHTTPProxy.api_url = facts["proxy_api_url"]
c.ConfigurableHTTPProxy.auth_token = facts["proxy_token"]
c.DockerSpawner.prefix = facts["prefix"]
c.DockerSpawner.extra_create_kwargs = {"labels": facts["labels"]}
if facts["engine"]:
    c.DockerSpawner.client_kwargs = {"base_url": facts["engine"]}
# As for labhub, so that sixty servers fit into the machine.
c.DockerSpawner.mem_limit = facts["memory"]

# Through this the bench asks for starts and stops.
c.JupyterHub.services = [{"name": "bench", "api_token": facts["token"]}]
c.JupyterHub.load_roles = [facts["role"]]
