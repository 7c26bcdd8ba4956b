"""The process that a reward's function runs in: ``python -m vard_rewards.child REQUESTS ANSWERS LIFELINE``, three pipes'
descriptors. ``vard_rewards.scorer`` starts it, in a session of its own.

It never imports gRPC, has no thread but its main one, and calls the function there: so the function may fork, spawn, and
set signal handlers. It reads requests from one pipe and answers by another; what the function prints goes elsewhere.

It is two processes. The first, the *guard* (``vard_rewards.guard``), only waits: for the second, which scores, to end, or for
the lifeline to, which the server alone holds open. Either way it ends what the second has started: a pool's workers do not
outlive the server, however that ended, and do not keep a pipe open that the server waits to see closed.

Multiprocessing's ``spawn`` imports this module in each process that it starts. Nothing happens then.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys

from vard_rewards.guard import adopt_orphans, guard

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

CLOSED_PIPE = "its process has closed its pipe: a function must leave descriptors alone that it has not opened"
"""Why there is no answer, when the function has closed what it comes by."""


def main() -> None:
    requests, answers, lifeline = map(int, sys.argv[1:])
    # Before there is anybody who could be an orphan.
    adopts = adopt_orphans()
    if (scoring := fork()) > 0:
        os.close(requests)
        os.close(answers)
        os._exit(guard(scoring, lifeline, adopts))
    os.close(lifeline)
    # The function may start programs: they are not to hold these.
    os.set_inheritable(requests, False)
    os.set_inheritable(answers, False)
    serve(requests, answers)


def fork() -> int:
    """As os.fork, with the new process in a group of its own."""
    pid = os.fork()
    # By both, so that it holds from here on for either; one that has ended already refuses.
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    return pid


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
        return frames.send(answers, FAILED, str(error).encode(errors="replace"))
    described = pb.DescribeRewardResponse(name=function.name, batch=function.batch)
    if function.range:
        described.least, described.most = function.range
    try:
        frames.send(answers, READY, described.SerializeToString())
        while (frame := frames.receive(requests)) is not None:
            queries = pb.ScoreRequest.FromString(frame[1]).queries
            scored = outcomes(function, pictures(queries), [query.prompt for query in queries])
            frames.send(answers, SCORES, pb.ScoreResponse(outcomes=scored).SerializeToString())
    except BrokenPipeError:
        return
    except OSError as error:
        if error.errno == errno.EBADF:
            sys.exit(CLOSED_PIPE)
        raise
    function.close()


if __name__ == "__main__":
    main()
