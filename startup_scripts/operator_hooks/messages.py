"""The words for what a hook did. Values in, values out."""

import signal

from limited import Outcome
from logs import Log
from output import Output


def meaning_of_failure(required: bool) -> str:
    """Say what a failure means to who waits for the server, and whom to tell."""
    if required:
        meaning = "This hub starts no server without it"
    else:
        meaning = "Your server starts all the same"
    return f"{meaning}; please tell the people who run this hub."


def what_failed(outcome: Outcome, time_limit_s: float) -> str:
    """Say how a hook failed; empty if it did not."""
    if not outcome.all_ended:
        return "left processes behind that could not be ended"
    if outcome.timed_out:
        return f"took longer than {time_limit_s:g} s and was ended"
    if outcome.exit_code < 0:
        return f"was ended by signal {signal.Signals(-outcome.exit_code).name}"
    if outcome.exit_code > 0:
        return f"has failed (exit code {outcome.exit_code})"
    return ""


def describe(
    outcome: Outcome, output: Output, log: Log, time_limit_s: float
) -> tuple[str, list[str]]:
    """Return how a hook failed (or nothing), and a list of sentences to add."""
    notes = []
    if outcome.left_processes:
        notes.append("Processes that it left behind were ended.")
    if output.was_cut:
        notes.append(f"Its log ends at {output.limit // 1024} KiB; there was more output.")
    if log.problem or output.problem:
        notes.append(f"About its log: {log.problem or output.problem}.")
    return what_failed(outcome, time_limit_s), notes
