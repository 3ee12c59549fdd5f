"""The main job as people do it, in Chromium."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.hub import RunningHub

STAGES = ["home", "image", "container", "hooks", "server"]


def sign_in(page: Page, hub: RunningHub, role: str, then: str = "") -> str:
    """Fill in the login form; return the user's name."""
    name, password = hub.demo_login(role)
    page.goto(f"{hub.url}hub/login{f'?next={then}' if then else ''}")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/hub/login" not in url)
    return name


def run_cell(page: Page, code: str) -> str:
    """Run code in the notebook's last cell; return what it printed."""
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    before = cells.count()
    cells.last.locator(".cm-content").click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    expect(cells).to_have_count(before + 1)
    cell = cells.nth(before - 1)
    # JupyterLab drops what is run before its kernel listens; a person presses the keys again
    if cell.locator(".jp-InputPrompt").inner_text().strip() == "[ ]:":
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        cells.last.locator(".cm-content").click()
    output = cell.locator(".jp-OutputArea-output pre").first
    output.wait_for()
    return output.inner_text().strip()


def open_notebook(page: Page, server_url: str) -> None:
    """Open a new Python notebook from the launcher of a fresh workspace."""
    page.goto(f"{server_url}lab?reset")
    page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()


def access_server(page: Page, name: str) -> None:
    """Open somebody's server from the admin page; return when JupyterLab is there."""
    row = page.get_by_test_id(f"user-row-{name}")
    with page.expect_navigation():
        row.get_by_role("link", name="Access Server").click()
    if "oauth2/authorize" in page.url:
        page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(f"**/user/{name}/lab**")
    page.locator("#jp-main-dock-panel").wait_for()


def test_student_works_stops_and_goes_on(page: Page, hub: RunningHub) -> None:
    """A student signs in, watches the stages, computes, saves, restarts and finds the file."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    name = sign_in(page, hub, "student", "%2Fhub%2Fspawn")
    page.wait_for_url(f"**/hub/spawn-pending/{name}**")
    for stage in STAGES:
        expect(page.locator(f'[data-stage="{stage}"]')).to_be_visible()
    expect(page.locator('[data-stage="container"]')).to_have_attribute("data-state", "done")
    page.wait_for_url(f"**/user/{name}/lab**")
    open_notebook(page, f"{hub.url}user/{name}/")
    assert run_cell(page, "1+1") == "2"
    assert run_cell(page, "print(open('from-hook.txt').read())") == "made-by-the-hook"
    assert run_cell(page, "open('kept.txt', 'w').write('kept')") == "4"

    page.goto(f"{hub.url}hub/home")
    page.get_by_role("button", name="Stop my server").press("Enter")
    page.get_by_role("link", name="Start my server").press("Enter")
    page.wait_for_url(f"**/user/{name}/lab**")
    open_notebook(page, f"{hub.url}user/{name}/")
    assert run_cell(page, "print(open('kept.txt').read())") == "kept"
    log = hub.settings.hooks.log_folder / f"{name}-as-root.log"
    found = log.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (999, 996, 0o640)
    assert not [url for url in seen if not url.startswith((hub.url, "blob:", "data:"))]


def test_admin_helps_a_student(page: Page, second_page: Page, hub: RunningHub) -> None:
    """The admin starts, opens and stops the student's server from the admin page; the TA sees the
    same page; the student does not."""
    student = sign_in(second_page, hub, "student", "%2Fhub%2Fhome")
    answer = second_page.goto(f"{hub.url}hub/admin")
    assert answer and answer.status == 403
    hub.sign_in("student").stop_server()

    sign_in(page, hub, "admin", "%2Fhub%2Fadmin")
    row = page.get_by_test_id(f"user-row-{student}")
    row.get_by_role("button", name="Start Server").click()
    row.get_by_role("button", name="Stop Server").wait_for()
    access_server(page, student)
    page.goto(f"{hub.url}hub/admin")
    row.get_by_role("button", name="Stop Server").click()
    row.get_by_role("button", name="Start Server").wait_for()


def test_ta_sees_the_class_only(page: Page, hub: RunningHub) -> None:
    """The TA sees the students on the admin page, nobody else, and opens a student's server."""
    student, admin = hub.sign_in("student"), hub.sign_in("admin")
    assert student.start_server()[-1].get("ready")
    try:
        sign_in(page, hub, "ta", "%2Fhub%2Fadmin")
        page.get_by_test_id(f"user-row-{student.name}").wait_for()
        expect(page.get_by_test_id(f"user-row-{admin.name}")).to_have_count(0)
        access_server(page, student.name)
    finally:
        student.stop_server()
