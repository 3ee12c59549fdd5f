"""Give root's rights up for good: ids, groups, capabilities, and every way back.

The numbers are those of <linux/prctl.h> and <linux/capability.h>. Bounding set and no-new-privs
belong to a thread: who drops must have one thread only.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn

SET_DUMPABLE, BOUNDING_SET_READ, BOUNDING_SET_DROP = 4, 23, 24
SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVILEGES, AMBIENT, AMBIENT_CLEAR = 36, 38, 47, 4
CAPABILITY_VERSION = 0x20080522
FAILED = 255

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


class Identity(NamedTuple):
    """Who a process becomes; with `locked` nothing, not even sudo, leads back to root."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    locked: bool = True


def control(option: int, value: int = 0) -> int:
    """Call prctl(2); raise OSError where it fails."""
    answer: int = libc.prctl(option, value, 0, 0, 0)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def drop(identity: Identity, dumpable: bool = True) -> None:
    """Become the identity, without any capability; raise OSError where something is left.

    Args:
        identity: Who the process becomes.
        dumpable: Whether others of that user may look into it from now on; not while it still has
            what root opened.
    """
    if identity.locked:
        for capability in range(64):
            if libc.prctl(BOUNDING_SET_READ, capability, 0, 0, 0) == 1:
                control(BOUNDING_SET_DROP, capability)
        control(SET_NO_NEW_PRIVILEGES, 1)
    control(AMBIENT, AMBIENT_CLEAR)
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    # Version and process (this one); three sets of 64 bits in two parts.
    if libc.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if dumpable:
        control(SET_DUMPABLE, 1)  # else /proc/self and /dev/stdout are closed to it


def run_as(identity: Identity, work: Callable[[], int]) -> int:
    """Do some work as the identity in a process of its own; return its result, or FAILED."""
    child = os.fork()
    if child == 0:
        _work_and_exit(identity, work)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & FAILED


def _work_and_exit(identity: Identity, work: Callable[[], int]) -> NoReturn:
    result = FAILED
    try:
        drop(identity, dumpable=False)
        result = work()
    except OSError as error:
        print(f"labhub: as user id {identity.uid}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(result)
