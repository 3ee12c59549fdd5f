"""Servers on names of their own: what runs in one cannot act on the hub as its visitor.

Chromium takes every name below .localhost for this machine, so no DNS is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from hub_config.loading import load_settings
from tests.browser.test_round_trip import open_notebook, run_cell, sign_in
from tests.support.hub import RunningHub

CONFIG = 'c.ServerApp.extra_static_paths = ["/home/student/page"]\n'
SCRIPT = """
async function read(url, mode) {
  try {
    const answer = await fetch(url, {mode, credentials: "include"});
    return (await answer.text()) ? "read" : "nothing";
  } catch (error) {
    return error.name;
  }
}
async function attack(url) {
  return [await read(url, "cors"), await read(url, "no-cors")];
}
"""
HOOK = f"""#!/bin/sh
mkdir -p ~/.jupyter ~/page
cat > ~/.jupyter/jupyter_server_config.py <<'END'
{CONFIG}END
printf '<!doctype html><body><script src="page.js"></script>' > ~/page/page.html
cat > ~/page/page.js <<'END'
{SCRIPT}END
"""


@pytest.fixture(scope="module")
def apart() -> Iterator[RunningHub]:
    """A hub that gives each server a name below hub.localhost."""
    with tempfile.TemporaryDirectory() as name:
        hub = RunningHub(Path(name))
        host = f'subdomain_host = "http://hub.localhost:{hub.settings.hub.port}"'
        hub.config.write_text(hub.config.read_text().replace("[hub]", f"[hub]\n{host}", 1))
        hub.settings = load_settings(hub.config)
        hub.url = hub.settings.hub.url
        hooks = hub.settings.hooks.folder
        hooks.mkdir(parents=True)
        (hooks / "as-user.sh").write_text(HOOK)  # stands for what the student writes themselves
        (hooks / "as-user.sh").chmod(0o755)
        hub.start()
        yield hub
        hub.stop()


def test_work_goes_on_and_pages_of_servers_stay_apart(
    page: Page, second_page: Page, apart: RunningHub
) -> None:
    """A student works on the server's own name; a page there cannot read the hub as the TA who
    visits it."""
    student = sign_in(page, apart, "student", "%2Fhub%2Fspawn")
    server = f"http://{student}.hub.localhost:{apart.settings.hub.port}/user/{student}/"
    page.wait_for_url(f"{server}lab**")
    open_notebook(page, server)
    assert run_cell(page, "1+1") == "2"
    page.goto(f"{apart.url}hub/home")
    page.get_by_role("link", name="Open my server").click()
    page.wait_for_url(f"{server}lab**")

    sign_in(second_page, apart, "ta", "%2Fhub%2Fhome")
    second_page.goto(f"{server}static/page.html")
    if "oauth2/authorize" in second_page.url:
        second_page.get_by_role("button", name="Authorize").click()
    second_page.wait_for_url(f"{server}static/page.html")
    own = second_page.evaluate("attack(location.href)")
    assert own == ["read", "read"], "the page does not even read what is its own"
    hub_home = f"{apart.url}hub/home"
    found = second_page.evaluate("url => attack(url)", hub_home)
    assert found == ["TypeError", "nothing"]
    second_page.goto(hub_home)
    second_page.get_by_role("link", name="Start my server").wait_for()  # it was the TA's browser
