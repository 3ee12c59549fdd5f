"""Where a hook's output goes: files that take what fits, and never hold the hook up."""

import os
import select
import time
from collections.abc import Callable
from io import FileIO
from typing import Optional

NOTICE = "\n[labhub: the rest is not kept: more than {} KiB of output]\n"


class Output:
    """A hook's output, cut at a limit and copied to descriptors.

    Args:
        limit: Bytes that are kept; all that follows is dropped.
        descriptors: Where they go. One that fails (a full disk) gets nothing more.

    Attributes:
        problem: Why a descriptor got nothing more, in words.
    """

    def __init__(self, limit: int, descriptors: list[int]):
        self.limit = limit
        self.left = limit
        self.was_cut = False
        self.problem = ""
        self._descriptors = list(descriptors)

    def write(self, data: bytes) -> None:
        """Keep what fits; never raise, so that the hook is not disturbed."""
        kept = data[: self.left]
        self.left -= len(kept)
        if len(kept) < len(data) and not self.was_cut:
            self.was_cut = True
            kept += NOTICE.format(self.limit // 1024).encode()
        for descriptor in self._descriptors[:]:
            try:
                write_all(descriptor, kept)
            except OSError as error:
                self.problem = error.strerror or "it cannot be written"
                self._descriptors.remove(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte."""
    while data:
        data = data[os.write(descriptor, data) :]


def follow(
    pipe: FileIO,
    output: Output,
    time_limit_s: float,
    goes_on: Callable[[], bool],
    process: Optional[int] = None,
) -> None:
    """Pass output on as long as `goes_on()` and the time is not over, however much it is.

    The end of `process` is seen at once; anything else that ends `goes_on()` within 10 ms.
    """
    deadline = time.monotonic() + time_limit_s
    ending = open_process(process) if process else None
    watched = [pipe.fileno()] if ending is None else [pipe.fileno(), ending]
    pause_s = 0.01 if ending is None else 0.2
    while goes_on() and (left_s := deadline - time.monotonic()) > 0:
        select.select(watched, [], [], min(pause_s, left_s))
        data = pipe.read(65536)
        if data:
            output.write(data)
        elif data == b"":  # closed by all who had it: only the process's end is left to see
            watched = watched[1:] if watched[:1] == [pipe.fileno()] else watched
    if ending is not None:
        os.close(ending)


def open_process(process: int) -> Optional[int]:
    """Return a descriptor that becomes readable when the process ends; None where there is none.

    Older kernels lack it, and so does the Python of conda.
    """
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return None
