"""Inside a container: sign in to the hub as two users, use their servers, print what was found.

Each user goes the way of a browser: the hub's login form, the server's address, OAuth. Then pages,
the API and a kernel. Printed as JSON: user -> what they found.
"""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import websocket

HUB = "http://127.0.0.1:8081"
PORTS = {"alice": 9001, "bob": 9002}
PAGES = ("lab", "tree", "api/me", "api/contents", "api/kernelspecs", "lab/api/settings")
CODE = """
import json, os, site, sys
flags = {name: getattr(sys.flags, name) for name in ("no_user_site", "dont_write_bytecode")}
environ = {name: value for name, value in os.environ.items() if "TOKEN" not in name}
print(json.dumps({"environ": environ, "flags": flags, "path": sys.path, "cwd": os.getcwd(),
                  "user_site": [site.ENABLE_USER_SITE, site.USER_BASE, site.USER_SITE]}))
"""


class Browser:
    """One person's browser: cookies, and redirects between the hub and their server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.session = requests.Session()
        self.base = f"http://127.0.0.1:{PORTS[name]}/user/{name}/"
        form = self.session.get(f"{HUB}/hub/login").text
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form)
        assert xsrf, form
        words = {"username": name, "password": "x", "_xsrf": xsrf[1]}
        self.session.post(f"{HUB}/hub/login", words, allow_redirects=False).raise_for_status()

    def get(self, url: str) -> requests.Response:
        """Open an address; what begins with /hub/ is the hub's."""
        for _ in range(10):
            answer = self.session.get(url, allow_redirects=False)
            if not answer.is_redirect:
                return answer
            target = urljoin(url, answer.headers["Location"])
            path = target[len("{0.scheme}://{0.netloc}".format(urlsplit(target))) :]
            url = (HUB if path.startswith("/hub/") else self.base.split("/user/")[0]) + path
        raise AssertionError(f"{url}: no end of redirects")

    def calculate(self, code: str) -> str:
        """Run code in a new kernel of the server; return what it prints."""
        headers = {"X-XSRFToken": self.session.cookies.get("_xsrf", path=f"/user/{self.name}/")}
        made = self.session.post(f"{self.base}api/kernels", json={}, headers=headers)
        made.raise_for_status()
        cookies = "; ".join(f"{found.name}={found.value}" for found in self.session.cookies)
        channel = f"{self.base.replace('http', 'ws')}api/kernels/{made.json()['id']}/channels"
        connection = websocket.create_connection(channel, cookie=cookies, timeout=60)
        header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": ""}
        content = {"code": code, "silent": False}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        connection.send(json.dumps({**request, "channel": "shell", "buffers": []}))
        while True:
            message = json.loads(connection.recv())
            if message["msg_type"] == "stream":
                connection.close()
                return str(message["content"]["text"])


def wait_for_hub() -> None:
    """Return when the hub answers."""
    for _ in range(600):
        try:
            requests.get(f"{HUB}/hub/api", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the hub did not start")


def start_server(name: str) -> None:
    """Ask the hub for a person's server; return when it is ready."""
    user = f"{HUB}/hub/api/users/{name}"
    headers = {"Authorization": "token token-of-the-test"}
    requests.post(f"{user}/server", headers=headers, timeout=30).raise_for_status()
    for _ in range(1200):
        servers = requests.get(user, headers=headers, timeout=30).json()["servers"]
        if servers.get("", {}).get("ready"):
            return
        time.sleep(0.1)
    raise AssertionError(f"the server of {name} did not start")


def loaded_libraries(port: int) -> list[str]:
    """Return the C extensions in site-packages that the server at a port has loaded."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ, text = ((process / name).read_text() for name in ("environ", "maps"))
        except OSError:  # it has ended
            continue
        if f":{port}/" in environ and "site-packages" in text:
            return sorted(set(re.findall(r"site-packages/(\w+)/\S*\.so", text)))
    raise AssertionError(f"no server at {port}")


def find(name: str) -> dict[str, Any]:
    """Start a person's server, use it, and return what was found."""
    browser = Browser(name)
    start_server(name)
    pages = {}
    for page in PAGES:
        answer = browser.get(browser.base + page)
        text = re.sub(r"[0-9a-f-]{32,}|\d{4}-\d\d-\d\dT[^\"]+|900\d", "X", answer.text)
        text = re.sub(r"\"token\": ?\"\w*\"|_xsrf=\S*", "", text).replace(name, "NAME")
        pages[page] = [answer.status_code, text]
    libraries = loaded_libraries(PORTS[name])
    kernel = browser.calculate(CODE).replace(name, "NAME").replace(str(PORTS[name]), "PORT")
    return {"pages": pages, "libraries": libraries, "kernel": json.loads(kernel)}


hub = subprocess.Popen(
    ["jupyterhub", "-f", "/test/hub_without_proxy.py"], stdout=2, cwd="/tmp", env=os.environ
)
try:
    wait_for_hub()
    print(json.dumps({name: find(name) for name in PORTS}))
finally:
    hub.terminate()
    hub.wait(30)
