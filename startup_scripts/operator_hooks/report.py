"""Tell the hub what the hooks are doing, in sentences that a student understands."""

import contextlib
import json
import os
import sys
import time
from typing import Optional

from limited import Outcome
from logs import Log
from messages import describe, meaning_of_failure
from output import Output
from settings import RUNTIME_FOLDER, Settings


def report(
    step: str, state: str, message: str, seconds: float = 0.0, exit_code: Optional[int] = None
) -> None:
    """Append one line to the hub's report, and say it in the container's log."""
    print(f"labhub: {step}: {message}", file=sys.stderr, flush=True)
    line = {
        "step": step,
        "state": state,
        "message": message,
        "seconds": round(seconds, 3),
        "exit_code": exit_code,
        "time": time.time(),
    }
    if os.geteuid() != 0 or not os.path.isdir(RUNTIME_FOLDER):
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with contextlib.suppress(OSError):  # a full disk stops no start
        descriptor = os.open(f"{RUNTIME_FOLDER}/report.jsonl", flags, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")


def report_refusal(settings: Settings, step: str, error: Exception, path: str) -> bool:
    """Report a hook that was not run; return whether the start goes on."""
    required = step in settings.required
    if isinstance(error, FileNotFoundError) and not required:
        report(step, "skipped", f"There is no {step}.sh here, so there is nothing to do.")
        return True
    why = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
    failed = f"{step}.sh was not run: {why}. {meaning_of_failure(required)}"
    report(step, "failed" if required else "warning", failed)
    return not required


def report_outcome(
    settings: Settings, step: str, outcome: Outcome, output: Output, log: Log
) -> bool:
    """Report a hook that ran; return whether the start goes on."""
    required = step in settings.required
    failure, notes = describe(outcome, output, log, settings.time_limit_s)
    if failure:
        state, said = "failed" if required else "warning", f"{step}.sh {failure}."
        said += f" {meaning_of_failure(required)}"
    else:
        state, said = "warning" if log.problem or output.problem else "done", f"{step}.sh is done."
    report(step, state, " ".join([said, *notes]), outcome.seconds, outcome.exit_code)
    return not (failure and required)
