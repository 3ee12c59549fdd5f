"""A real Chromium, and one hub with hooks for all browser tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hub_config.settings import LOCAL_IMAGE
from tests.support.hub import RunningHub

FLAGS = [
    "--no-sandbox",  # the tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AS_ROOT = "#!/bin/sh\necho prepared by root\n"
AS_USER = "#!/bin/sh\necho made-by-the-hook > ~/from-hook.txt\nsleep 1\n"


@pytest.fixture(scope="module")  # Playwright's event loop must not outlive these tests
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[RunningHub]:
    client = docker.APIClient(version="auto")
    client.inspect_image(LOCAL_IMAGE)
    client.close()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hooks = folder / "data" / "admin" / "start"
        hooks.mkdir(parents=True)
        for hook, text in (("as-root.sh", AS_ROOT), ("as-user.sh", AS_USER)):
            (hooks / hook).write_text(text)
            (hooks / hook).chmod(0o755)
        hub = RunningHub(folder)
        hub.start()
        yield hub
        hub.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser that knows nobody yet."""
    with fresh_page(browser) as page:
        yield page


@pytest.fixture
def second_page(browser: Browser) -> Iterator[Page]:
    """Somebody else's browser."""
    with fresh_page(browser) as page:
        yield page


@contextmanager
def fresh_page(browser: Browser) -> Iterator[Page]:
    """Open a page with cookies and storage of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()
