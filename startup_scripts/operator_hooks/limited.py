"""Run one command with a time limit, pass its output on, and leave no process behind."""

import os
import signal
import time
from io import FileIO
from typing import NamedTuple, Optional

from descendants import end_descendants, reap
from output import Output, follow
from privileges import SET_CHILD_SUBREAPER, Identity, control
from process import start

GRACE_S = 2  # from SIGTERM to SIGKILL: git, for one, then removes its locks
TAIL_S = 0.2  # for the end of a pipe that the command did not wait for


class Outcome(NamedTuple):
    """How a command ended; a negative exit code is the signal that ended it."""

    exit_code: int
    seconds: float
    timed_out: bool = False
    left_processes: bool = False
    all_ended: bool = True


def run_limited(
    words: list[str],
    environ: dict[str, str],
    time_limit_s: float,
    output: Output,
    user: Optional[Identity],
) -> Outcome:
    """Run a command as who `start` says, to its end or its time limit.

    Raises:
        OSError: it could not be started.
    """
    control(SET_CHILD_SUBREAPER, 1)
    began = time.monotonic()
    reading, writing = os.pipe()
    ended: dict[int, int] = {}
    with FileIO(reading, "rb") as pipe:
        main, failure = start(words, environ, writing, user)
        os.close(writing)
        os.set_blocking(reading, False)
        follow(pipe, output, time_limit_s, lambda: reap(ended) and main not in ended, main)
        timed_out = main not in ended
        if timed_out:
            os.killpg(main, signal.SIGTERM)
            follow(pipe, output, GRACE_S, lambda: reap(ended) and main not in ended, main)
        else:
            follow(pipe, output, TAIL_S, lambda: reap(ended))
        left = reap(ended) and not timed_out
        all_ended = end_descendants(ended)
        while data := pipe.read(65536):  # what was still in the pipe; nobody adds to it
            output.write(data)
    control(SET_CHILD_SUBREAPER, 0)
    with FileIO(failure, "rb") as why:
        if number := why.read(16):
            raise OSError(int(number), os.strerror(int(number)))
    return Outcome(ended.get(main, -9), time.monotonic() - began, timed_out, left, all_ended)
