"""Run one command with a time limit, pass its output on, and leave no process behind."""

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from io import FileIO

from descendants import end_descendants, reap
from output import Output, follow

SET_CHILD_SUBREAPER = 36  # prctl(2)
GRACE_S = 2  # from SIGTERM to SIGKILL: git, for one, then removes its locks
TAIL_S = 0.2  # for the end of a pipe that the command did not wait for


@dataclass(frozen=True)
class Outcome:
    """How a command ended; a negative exit code is the signal that ended it."""

    exit_code: int
    seconds: float
    timed_out: bool = False
    left_processes: bool = False
    all_ended: bool = True


def run_limited(
    words: list[str], environ: dict[str, str], time_limit_s: float, output: Output
) -> Outcome:
    """Run a command in a session of its own, to its end or its time limit."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.monotonic()
    reading, writing = os.pipe()
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
        (os.POSIX_SPAWN_DUP2, writing, 2),
    ]
    defaults = {signal.SIGPIPE, signal.SIGXFSZ}  # Python ignores them, a script must not
    ended: dict[int, int] = {}
    with FileIO(reading, "rb") as pipe:
        main = os.posix_spawn(
            words[0], words, environ, file_actions=files, setsid=True, setsigdef=defaults
        )
        os.close(writing)
        os.set_blocking(reading, False)
        follow(pipe, output, time_limit_s, lambda: reap(ended) and main not in ended)
        timed_out = main not in ended
        if timed_out:
            os.killpg(main, signal.SIGTERM)
            follow(pipe, output, GRACE_S, lambda: reap(ended) and main not in ended)
        else:
            follow(pipe, output, TAIL_S, lambda: reap(ended))
        left = reap(ended) and not timed_out
        all_ended = end_descendants(ended)
        while data := pipe.read(65536):  # what was still in the pipe; nobody adds to it
            output.write(data)
    return Outcome(ended.get(main, -9), time.monotonic() - began, timed_out, left, all_ended)
