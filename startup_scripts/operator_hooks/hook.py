"""Run the hooks: load each, open its log, run it, report how it went."""

import os

from beneath import open_folder
from logs import Log
from output import Output
from private import run_copy
from report import report, report_outcome, report_refusal
from script import read_hook
from settings import Settings, read_settings
from trust import Admin, Refused


def run_hooks() -> bool:
    """Run both hooks; return False where the start must end, at the first that says so."""
    settings = read_settings(os.environ)
    return all(run_hook(settings, step) for step in ("as-root", "as-user"))


def run_hook(settings: Settings, step: str) -> bool:
    """Run as-root.sh or as-user.sh and report it; return False where the start must end."""
    name, admin = f"{step}.sh", Admin(settings.admin_uid, settings.admin_gid)
    path = f"{settings.hook_folder}/{name}"
    try:
        content = load(settings.hook_folder, name, admin)
    except (Refused, OSError) as error:
        return report_refusal(settings, step, error, path)
    report(step, "running", f"{name} is running.")
    log = Log(f"{settings.log_folder}/{settings.user}-{step}.log", admin)
    if os.geteuid() == 0:
        log.open()
    # Without a hub nobody reads reports: who tries a hook by hand sees its output.
    shown = [] if settings.has_hub else [2]
    kept = [] if log.descriptor is None else [log.descriptor]
    output = Output(settings.output_limit, kept + shown)
    try:
        outcome = run_copy(settings, step, content, output)
    except Refused as refused:
        return report_refusal(settings, step, refused, path)
    finally:
        log.keep()
    return report_outcome(settings, step, outcome, output, log)


def load(folder: str, name: str, admin: Admin) -> bytes:
    """Return the content of a trusted hook; raise FileNotFoundError where there is none."""
    opened = open_folder(folder, admin)
    try:
        content = read_hook(opened, name, f"{folder}/{name}", admin)
    finally:
        os.close(opened)
    if name == "as-root.sh" and os.geteuid() != 0:
        raise Refused("this container was not started as root")
    return content
