"""labhub's configuration without an engine and a proxy: the hub itself answers the browser.

All but the spawner is written by `hub_config.wiring`. Servers are a process that answers each
request with 404, which is enough for the hub to call them ready.
"""

import os
import sys

from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner

from authenticator import github_api
from hub_config import wiring
from hub_config.loading import load_settings
from hub_config.state import State

SERVER = """
import os, signal, urllib.parse
from http.server import HTTPServer, BaseHTTPRequestHandler

class NotFound(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

signal.signal(signal.SIGINT, signal.SIG_DFL)  # end without a traceback
port = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port
HTTPServer(("127.0.0.1", port), NotFound).serve_forever()
"""


class RememberedRoutes(Proxy):
    """Routes that lead nowhere: no test here goes through a proxy."""

    should_start = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


c = get_config()  # noqa: F821 (JupyterHub defines get_config)
settings = load_settings()
state = State(settings.hub.data_folder).prepare()
wiring.hub(c, settings, state, gateway="127.0.0.1")
wiring.login(c, settings, state)
wiring.command_line(c, state)
wiring.pages(c, settings)
c.JupyterHub.hub_bind_url = settings.hub.url.rstrip("/")
c.JupyterHub.proxy_class = RememberedRoutes
c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
c.SimpleLocalProcessSpawner.home_dir_template = str(settings.home.folder / "{username}")
c.Spawner.cmd = [sys.executable, "-c", SERVER]
c.JupyterHub.cleanup_servers = True

# Ask about people again at every request that comes a second after the last question, and do not
# wait for ten seconds in each test of an outage.
c.Authenticator.auth_refresh_age = 1
github_api.REQUEST_DEADLINE_S = float(os.environ["TEST_REQUEST_DEADLINE_S"])
