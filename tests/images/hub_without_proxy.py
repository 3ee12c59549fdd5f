"""A real JupyterHub inside a container: servers are reached at their own ports, without a proxy.

`alice` has the server program under test, `bob` JupyterHub's own `jupyterhub-singleuser`.
"""

from typing import Any

from jupyterhub.proxy import Proxy

COMMANDS = {
    "alice": ["python3", "-s", "-B", "/opt/labhub/startup_scripts/server"],
    "bob": ["jupyterhub-singleuser"],
}
PORTS = {"alice": 9001, "bob": 9002}


class NoProxy(Proxy):
    """Notes routes and leads nowhere."""

    should_start = False
    routes: dict[str, Any] = {}  # noqa: RUF012 # the hub makes one

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Note a route."""
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        """Forget a route."""
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        """Return the routes."""
        return self.routes


def prepare(spawner: Any) -> None:
    """Give each user their command and port. The hub calls it before a server starts."""
    spawner.cmd = COMMANDS[spawner.user.name]
    spawner.port = PORTS[spawner.user.name]


c = get_config()  # type: ignore[name-defined] # noqa: F821
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.db_url = "sqlite:////tmp/hub.sqlite"
c.JupyterHub.cookie_secret_file = "/tmp/cookie-secret"
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.services = [{"name": "test", "api_token": "token-of-the-test"}]
c.JupyterHub.load_roles = [
    {"name": "test", "services": ["test"], "scopes": ["admin:users", "admin:servers"]}
]
c.DummyAuthenticator.allow_all = True
c.Spawner.pre_spawn_hook = prepare
c.Spawner.args = ["--allow-root"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 120
c.SimpleLocalProcessSpawner.home_dir_template = "/tmp/homes/{username}"
