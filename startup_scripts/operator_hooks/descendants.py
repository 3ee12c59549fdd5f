"""End every process that a hook left, daemons included.

We are the subreaper of the hook (`limited.py`): whatever it starts, also in a session of its own,
becomes our child when its parent ends. So none is left when there is no child to wait for.
"""

import os
import signal
import time


def list_descendants() -> set[int]:
    """Return the ids of all processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(entry)}/stat", "rb") as status:
                # The name, in parentheses, may hold anything; the parent is two words after it.
                parent = int(status.read().rsplit(b")", 1)[1].split()[1])
        except (ValueError, OSError):
            continue  # no process, or it has just ended
        children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    new = [os.getpid()]
    while new:
        new = [child for parent in new for child in children.get(parent, ())]
        found.update(new)
    return found


def reap(ended: dict[int, int]) -> bool:
    """Collect children that have ended into `ended` (id -> exit code); return whether any lives."""
    try:
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return True
            ended[child] = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        return False


def end_descendants(ended: dict[int, int], patience_s: float = 10) -> bool:
    """Kill all processes below this one; return whether none is left within the time."""
    deadline = time.monotonic() + patience_s
    frozen: set[int] = set()
    while reap(ended):
        if time.monotonic() > deadline:
            return False
        found = list_descendants()
        # First all stand still, so that none starts another while we count.
        sign = signal.SIGSTOP if found - frozen else signal.SIGKILL
        for process in found:
            try:
                os.kill(process, sign)
            except ProcessLookupError:
                continue
        frozen = found
        time.sleep(0.002)
    return True
