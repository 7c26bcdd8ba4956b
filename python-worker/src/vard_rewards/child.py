"""The process that a reward's function runs in: ``python -m vard_rewards.child REQUESTS ANSWERS LIFELINE``, three pipes'
descriptors. ``vard_rewards.scorer`` starts it, in a session of its own.

It never imports gRPC, has no thread but its main one, and calls the function there: so the function may fork, spawn, and
set signal handlers. It reads requests from one pipe and answers by another; what the function prints goes elsewhere.

It is two processes. The first, the *guard*, only waits: for the second, which scores, to end, or for the lifeline to, which
the server alone holds open. Either way it ends what is left of the second's process group: a pool's workers do not outlive
the server, however that ended, and do not keep a pipe open that the server waits to see closed.

Multiprocessing's ``spawn`` imports this module in each process that it starts. Nothing happens then.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

HELLO = b"H"
"""From the child, first: its process id in decimal."""
LOAD = b"L"
"""To the child: JSON of function, options and device."""
READY = b"R"
"""From the child: it has loaded; a DescribeRewardResponse."""
FAILED = b"F"
"""From the child, instead: why it could not load. It ends."""
SCORE = b"S"
"""To the child: a ScoreRequest. Its images are sound."""
SCORES = b"A"
"""From the child: a ScoreResponse."""

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
LAST_MOMENT = 0.5
"""Seconds for the killed to be gone."""
SIGNALLED = 128
"""The guard's exit code, for a child that a signal has ended, is this and the signal's number."""


def main() -> None:
    requests, answers, lifeline = map(int, sys.argv[1:])
    if (scoring := fork()) > 0:
        os.close(requests)
        os.close(answers)
        os._exit(guard(scoring, lifeline))
    os.close(lifeline)
    # The function may start programs: they are not to hold these.
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    serve(requests, answers)


def fork() -> int:
    """As os.fork, with the new process in a group of its own."""
    pid = os.fork()
    try:
        # By both, so that it holds from here on for either.
        os.setpgid(pid, pid)
    except OSError:
        pass  # It has ended already.
    return pid


# ------------------------------------------------------------------------------------------------ the guard


def guard(child: int, lifeline: int) -> int:
    """Waits for the child's end, or the lifeline's; ends the child's group. Gives the child's exit code, as a shell does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    status = None
    while status is None:
        status = exit_of(child)
        if status is None and lifeline in select.select([lifeline, woken], [], [])[0]:
            break
        if status is None:
            os.read(woken, 1)
    end(child, status is None)
    return SIGNALLED + signal.SIGKILL if status is None else SIGNALLED - status if status < 0 else status


def exit_of(child: int) -> int | None:
    """Its exit code, minus the signal's number if one ended it; None while it lives."""
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def end(group: int, leader_lives: bool) -> None:
    """SIGTERM to all of a group, SIGKILL to those that are left after the grace."""
    deadline = time.monotonic() + GRACE
    number = signal.SIGTERM
    try:
        # In a container whose first process reaps no orphans, the dead stay in the group: not for ever, then.
        while time.monotonic() < deadline + LAST_MOMENT:
            os.killpg(group, number)
            number = 0 if time.monotonic() < deadline else signal.SIGKILL
            if leader_lives and exit_of(group) is not None:
                leader_lives = False
            time.sleep(0.01)
    except (ProcessLookupError, PermissionError):
        return  # Nobody is left: macOS calls a group of the dead forbidden.


# ------------------------------------------------------------------------------------------------ what scores


def serve(requests: int, answers: int) -> None:
    """Loads the function, and scores until there are no more requests."""
    import faulthandler
    import json
    import logging

    from vard_serving.search_path import put_users_modules_last

    put_users_modules_last()

    from vard.v1 import reward_pb2 as pb
    from vard_rewards import frames
    from vard_rewards.function import LoadError, load
    from vard_rewards.scoring import outcomes, pictures

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The server asks for it when a call does not return: the log then shows where it is.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    frames.send(answers, HELLO, str(os.getpid()).encode())
    _, asked = frames.receive(requests) or sys.exit()
    try:
        function = load(**json.loads(asked))
    except LoadError as error:
        if error.__cause__:
            logging.error("it could not be loaded", exc_info=error.__cause__)
        return frames.send(answers, FAILED, str(error).encode())
    described = pb.DescribeRewardResponse(name=function.name, batch=function.batch)
    if function.range:
        described.least, described.most = function.range
    frames.send(answers, READY, described.SerializeToString())
    try:
        while (frame := frames.receive(requests)) is not None:
            queries = pb.ScoreRequest.FromString(frame[1]).queries
            scored = outcomes(function, pictures(queries), [query.prompt for query in queries])
            frames.send(answers, SCORES, pb.ScoreResponse(outcomes=scored).SerializeToString())
    except BrokenPipeError:
        return
    function.close()


if __name__ == "__main__":
    main()
