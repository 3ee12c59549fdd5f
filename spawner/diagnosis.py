"""Why a start failed, in words for the user and in words for the log. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

REFUSED_BY_CHAIN = 78
"""Exit status of a start chain that refuses to go on (EX_CONFIG in sysexits.h)."""


@dataclass(frozen=True)
class Diagnosis:
    """The cause of a failed start.

    Attributes:
        user: What happened and the next step, for the person.
        log: The same for the operator.
        reason: A short word for the metrics.
    """

    user: str
    log: str
    reason: str


class StartFailed(Exception):
    """A start cannot go on; carries its diagnosis."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.log)
        self.diagnosis = diagnosis


def of_ended_container(state: dict[str, Any], refusal: str, memory_gib: float) -> Diagnosis:
    """Return why a container ended before its server answered.

    Args:
        state: `State` of the engine's inspection.
        refusal: What the start chain gave as its reason, or "".
        memory_gib: The server's memory limit, GiB.
    """
    code = state.get("ExitCode")
    if state.get("OOMKilled"):
        return Diagnosis(
            f"Your server needed more than the {memory_gib:g} GB of memory it may use, already "
            "while it started. Tell {contact}.",
            f"out of memory at {memory_gib:g} GiB",
            "out_of_memory",
        )
    if code == REFUSED_BY_CHAIN and refusal:
        return Diagnosis(
            f"Your server was not started. {refusal}",
            f"the start chain refused: {refusal}",
            "hook_failed",
        )
    return Diagnosis(
        "Your server ended while it started. Try again once; if it happens again, tell {contact}.",
        f"the container ended with status {code}: {state.get('Error') or 'no error given'}",
        "container_ended",
    )


def of_closed_port(seconds: int) -> Diagnosis:
    """Return the diagnosis of a server whose port did not open in time."""
    return Diagnosis(
        f"Your server did not answer within {seconds} seconds, so it was stopped. Try again; if it "
        "happens again, tell {contact}.",
        f"port not open after {seconds} s",
        "port_never_opened",
    )


def of_long_queue(seconds: int) -> Diagnosis:
    """Return the diagnosis of a person whose turn to start did not come in time."""
    return Diagnosis(
        f"So many servers start just now that yours had no turn within {seconds} seconds. Try "
        "again in a few minutes.",
        f"no place in the queue for {seconds} s: start.concurrent_starts or the host is too small",
        "queue_too_long",
    )


def of_mount(fault: Literal["missing", "refused", "stalled"], error: str) -> Diagnosis:
    """Return the diagnosis of a folder that a server needs and cannot have.

    Args:
        fault: What is wrong with it.
        error: Which folder it is, for the log.
    """
    what, log = {
        "missing": ("is missing on this machine", "a mount's source is missing: {}"),
        "refused": (
            "has been replaced by a link, so it is not opened",
            "{}; put the folder itself there",
        ),
        "stalled": ("is on a disk that does not answer just now", "{}: a disk has stalled"),
    }[fault]
    return Diagnosis(
        f"A folder that your server needs {what}. Your files are safe. Tell {{contact}}.",
        log.format(error),
        f"mount_{fault}",
    )


def of_refused_claim(error: str) -> Diagnosis:
    """Return the diagnosis of a new container that would not be claimed."""
    return Diagnosis(
        "Your server could not be prepared. Try again; if it happens again, tell {contact}.",
        f"the new container was not claimed: {error}",
        "claim_refused",
    )


def of_passed_deadline(stage: str, seconds: int) -> Diagnosis:
    """Return the diagnosis of a start that took too long.

    Args:
        stage: Where it was (`spawner.progress.STAGES`).
        seconds: The deadline.
    """
    return Diagnosis(
        f"Your server was not ready within {seconds} seconds, so the start was given up. Your "
        "files are safe. Try again in a few minutes, and tell {contact} if it lasts.",
        f"deadline of {seconds} s passed at the stage {stage!r}",
        "timeout",
    )


def of_our_fault(error: Exception) -> Diagnosis:
    """Return the diagnosis of an error that nobody foresaw."""
    return Diagnosis(
        "Something went wrong on our side. Your files are safe. Try again; if it happens again, "
        "tell {contact}.",
        f"unexpected {type(error).__name__}",
        "unexpected",
    )


def of_engine(error: Exception) -> Diagnosis:
    """Return the diagnosis of an engine that refused or did not answer."""
    return Diagnosis(
        "The machine that runs the servers does not answer properly just now. Nothing is lost. Try "
        "again in a minute, and tell {contact} if it lasts.",
        f"engine: {error}",
        "engine",
    )


def of_image_without_chain(image: str) -> Diagnosis:
    """Return the diagnosis of an image that cannot run a hook which is required."""
    return Diagnosis(
        "The environment of this profile cannot run the hooks that this hub requires, so it is "
        "not started. Choose another profile, or tell {contact}.",
        f"{image} has no start chain, but hooks.as_root or hooks.as_user is required: build it on "
        "labhub/notebook or on docker-stacks",
        "image_without_chain",
    )


def of_missing_image(error: Exception) -> Diagnosis:
    """Return the diagnosis of an image that is neither here nor to be had."""
    return Diagnosis(
        "The environment of this profile is not on this machine and could not be downloaded. Try "
        "again in a few minutes, and tell {contact} if it lasts.",
        str(error),
        "image_missing",
    )
