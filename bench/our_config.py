"""JupyterHub's configuration of a measured labhub: the project's own, and more logins.

Loaded by the hub's process. The demo mode knows three people; the bench needs many. They differ
from the demo's students in their password alone.
"""

import json
import os
from pathlib import Path

from bench.login import BenchAuthenticator
from cli import PROJECT_FOLDER

facts = json.loads(Path(os.environ["LABHUB_CONFIG"]).with_name("bench.json").read_text())
c = get_config()  # type: ignore[name-defined]  # noqa: F821 (JupyterHub defines it)
hub_file = PROJECT_FOLDER / "jupyterhub_config.py"
load_subconfig(str(hub_file))  # type: ignore[name-defined]  # noqa: F821 (JupyterHub defines it)

c.JupyterHub.authenticator_class = BenchAuthenticator
c.BenchAuthenticator.password = facts["password"]
c.JupyterHub.services.append({"name": "bench", "api_token": facts["token"]})
c.JupyterHub.load_roles.append(facts["role"])
