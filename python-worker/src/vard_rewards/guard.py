"""The guard of ``vard_rewards.child``: waits for the process that scores, or for the lifeline, and ends what is left.

On Linux the guard is a *child subreaper* (prctl(2)): an orphan among its descendants becomes its child, in whatever group or
session it is. So as long as any descendant lives, the guard has a child, and waitpid(2) says when there are none. Elsewhere it
ends the process group of the child: what has left that group, by a session of its own for example, stays.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections import defaultdict
from contextlib import suppress

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
LAST_MOMENT = 0.5
"""Seconds for the killed to be gone."""
SIGNALLED = 128
"""The guard's exit code, for a child that a signal has ended, is this and the signal's number."""
PAUSE = 0.01
"""Seconds between two looks at who is left."""
PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


def adopt_orphans() -> bool:
    """Makes this process, and no child of it, a subreaper. False where that, or a /proc to find the descendants in, is missing."""
    try:
        # In a PID namespace with its parent's /proc, the numbers there would be other processes'.
        own = sys.platform == "linux" and os.readlink("/proc/self") == str(os.getpid())
        return own and ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


def guard(child: int, lifeline: int, adopts: bool) -> int:
    """Waits for the child's end, or the lifeline's; ends what the child has started. Gives the child's exit code, as a shell does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while (status := reap()[0].get(child)) is None:
        if lifeline in select.select([lifeline, woken], [], [])[0]:
            break
        os.read(woken, 1)
    end_descendants() if adopts else end_group(child)
    return SIGNALLED + signal.SIGKILL if status is None else SIGNALLED - status if status < 0 else status


def reap() -> tuple[dict[int, int], bool]:
    """The exit codes of those children that have ended, minus the signal's number if one ended it, and whether there are others."""
    ended: dict[int, int] = {}
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    except ChildProcessError:
        return ended, False
    return ended, True


def end_descendants() -> None:
    """SIGTERM to each descendant, SIGKILL to those that are left after the grace. Until none is, or the last moment is over: a
    process that hangs in the kernel, or is another user's, holds nobody up."""
    deadline = time.monotonic() + GRACE
    asked: set[int] = set()
    while reap()[1] and (now := time.monotonic()) < deadline + LAST_MOMENT:
        for pid in descendants():
            if now >= deadline or pid not in asked:
                asked.add(pid)
                # Linux gives process ids in turn: none is another's within the moment since it was read.
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if now >= deadline else signal.SIGTERM)
        time.sleep(PAUSE)


def descendants() -> list[int]:
    """Of this process, parents first. One whose parent ends meanwhile may be missing: the next look finds it."""
    children: dict[int, list[int]] = defaultdict(list)
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:  # It may have ended.
            # "pid (command) state parent …", where the command may hold anything.
            children[int(stat.read().rpartition(b")")[2].split()[1])].append(int(name))
    found = [os.getpid()]
    for pid in found:
        found += children[pid]
    return found[1:]


def end_group(group: int) -> None:
    """SIGTERM to all of a group, SIGKILL to those that are left after the grace."""
    deadline = time.monotonic() + GRACE
    number = signal.SIGTERM
    # macOS calls a group of the dead forbidden.
    with suppress(ProcessLookupError, PermissionError):
        # In a container whose first process reaps no orphans, the dead stay in the group: not for ever, then.
        while time.monotonic() < deadline + LAST_MOMENT:
            os.killpg(group, number)
            number = 0 if time.monotonic() < deadline else signal.SIGKILL
            reap()
            time.sleep(PAUSE)
