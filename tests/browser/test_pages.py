"""The pages of a start that does not go well, on a wide and a narrow screen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_round_trip import sign_in
from tests.support.hub import RunningHub

TOML = """
[hooks]
as_user = "required"
[[profile]]
name = "small"
title = "Small"
description = "For every day."
[[profile]]
name = "big"
title = "Big"
memory_gib = 3
"""


def write(hub: RunningHub, name: str, text: str) -> None:
    hub.settings.hooks.folder.mkdir(parents=True, exist_ok=True)
    path = hub.settings.hooks.folder / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(scope="module")
def strict_hub() -> Iterator[RunningHub]:
    """A hub with two profiles that refuses a start when as-user.sh fails."""
    with tempfile.TemporaryDirectory() as name:
        hub = RunningHub(Path(name), TOML)
        write(hub, "as-root.sh", "#!/bin/sh\nexit 3\n")
        write(hub, "as-user.sh", "#!/bin/sh\n")
        hub.start()
        yield hub
        hub.stop()


def assert_fits(page: Page) -> None:
    """Nothing reaches over the edge of a narrow screen."""
    page.set_viewport_size({"width": 390, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert not wide, page.url
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_hook_that_fails_is_noted(page: Page, strict_hub: RunningHub) -> None:
    """The keyboard chooses a profile; the page notes the hook that failed before it goes on, and
    the home page keeps the note."""
    name = sign_in(page, strict_hub, "student", "%2Fhub%2Fspawn")
    expect(page.get_by_role("radio", name="Small")).to_be_checked()
    assert_fits(page)
    page.get_by_role("radio", name="Small").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Big")).to_be_checked()
    page.keyboard.press("Enter")
    noted = page.get_by_role("alert").filter(has_text="Please note")
    expect(noted).to_contain_text("as-root.sh has failed")
    expect(page.get_by_role("button", name="Open it now")).to_be_focused()
    assert_fits(page)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/user/{name}/lab**")
    page.goto(f"{strict_hub.url}hub/home")
    expect(page.get_by_role("note")).to_contain_text("as-root.sh has failed")
    assert_fits(page)
    page.get_by_role("button", name="Stop my server").click()
    page.get_by_role("link", name="Start my server").wait_for()


def test_a_start_that_is_refused_is_explained(page: Page, strict_hub: RunningHub) -> None:
    """A required hook that fails ends the start; the page says which, and offers the next step."""
    write(strict_hub, "as-user.sh", "#!/bin/sh\nsleep 2\nexit 1\n")
    sign_in(page, strict_hub, "student", "%2Fhub%2Fspawn")
    page.get_by_role("button", name="Start").click()
    failed = page.get_by_role("alert").filter(has_text="was not started")
    expect(failed).to_contain_text("as-user.sh has failed")
    expect(page.get_by_role("status").first).to_contain_text("The start has ended")
    assert_fits(page)
    page.reload()
    expect(page.locator("body")).to_contain_text("as-user.sh has failed")
    write(strict_hub, "as-user.sh", "#!/bin/sh\n")
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Start").wait_for()


def test_a_start_can_be_stopped(page: Page, strict_hub: RunningHub) -> None:
    """Who started by mistake stops the start from its page."""
    write(strict_hub, "as-user.sh", "#!/bin/sh\nsleep 30\n")
    sign_in(page, strict_hub, "student", "%2Fhub%2Fspawn")
    page.get_by_role("button", name="Start").click()
    expect(page.locator('[data-stage="hooks"]')).to_have_attribute("data-state", "running")
    page.get_by_role("button", name="Stop this start").click()
    page.wait_for_url("**/hub/home")
    page.get_by_role("link", name="Start my server").wait_for()
