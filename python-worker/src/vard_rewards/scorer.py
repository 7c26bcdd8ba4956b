"""The reward's function as the server sees it: it runs in a process of its own, ``vard_rewards.child``, where it may fork.
One that dies, or hangs with nobody waiting for it any more, is started anew for the next call."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import selectors
import signal
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from vard.v1 import reward_pb2 as pb
from vard_rewards import child, frames, guard
from vard_rewards.function import LoadError

log = logging.getLogger(__name__)

STUCK = 30.0
"""Seconds that a call may go on after its caller has left. Then its process is ended: it blocks all others."""
DEATHS = 3
"""In a row; after them a failure is not to be tried again."""
LAST_LINES = 4
KEPT_BYTES = 1 << 14
"""Of what it prints; enough for the stacks of some threads."""
PIPE_BYTES = 1 << 20
"""An image or two: each switch between the processes then carries more."""
MOST_PRINTED = 1 << 16
"""That a pipe holds."""
UNDERLINING = string.whitespace + "^~"
"""What Python marks the place within a traceback's line with."""
POLL = 0.1


class Died(LoadError):
    """The process has ended, or was ended. Its exit code is as a shell tells it: beyond 128 it is a signal's, and it may load the
    next time."""

    def __init__(self, message: str, exit_code: int = LoadError.exit_code) -> None:
        super().__init__(message)
        self.exit_code = exit_code or LoadError.exit_code


class Stuck(Exception):
    """A call that nobody waits for any more does not come back."""


class Scorer:
    """Scores by one function. One thread calls all but ``kill``."""

    def __init__(self, function: str, options: dict[str, Any], device: str, stuck: float = STUCK) -> None:
        self.function = function
        self.described = pb.DescribeRewardResponse()
        self._asked = json.dumps({"reference": function, "options": options, "device": device}).encode()
        self._stuck = stuck
        self._process: Process | None = None
        self._killed = False
        self._deaths = 0
        """In a row."""

    def start(self) -> None:
        """Raises LoadError, of which Died is one."""
        self._process = process = Process()
        if self._killed:
            process.kill()
        try:
            kind, body = process.load(self._asked)
            if kind == child.FAILED:
                raise LoadError(body.decode())
            self.described = pb.DescribeRewardResponse.FromString(body)
        except LoadError:
            process.discard()
            raise

    def score(self, request: bytes, wanted: Callable[[], bool]) -> list[pb.RewardOutcome]:
        """Of a ScoreRequest whose images are sound: as many as it has queries; none if nobody waits for them any more."""
        queries = pb.ScoreRequest.FromString(request).queries
        count = len(queries)
        if not count or not wanted():
            # Who has waited in vain asks again: what nobody waits for is not computed.
            return []
        try:
            if self._process is None or self._process.closed:
                log.warning("the process of %s is gone, and is started anew", self.function)
                self.start()
            scored = self._process.score(request, Patience(wanted, self._stuck))
            self._deaths = 0
            return scored
        except Stuck:
            log.warning(
                "%s has not returned %g s after its caller left: its process is ended; where it was is above, if Python could tell",
                self.function, self._stuck,
            )  # fmt: skip
            self._process.discard()
            return []
        except Died as death:
            self._deaths += 1
            log.error("%s: %s", self.function, death)
            self._process.discard()
            if count > 1 and self._deaths < DEATHS:
                # One bad image is not to cost the others their score.
                alone = (pb.ScoreRequest(queries=[query]).SerializeToString() for query in queries)
                return [outcome for one in alone for outcome in self.score(one, wanted)]
            failure = pb.RewardFailure(code="CRASHED", message=f"{death}", retryable=self._deaths < DEATHS)
        except LoadError as error:
            # It could load once: perhaps memory is short, or a file is about to be mended.
            failure = pb.RewardFailure(code="UNAVAILABLE", message=f"its process died, and could not be started anew: {error}", retryable=True)
        return [pb.RewardOutcome(failure=failure)] * count

    def close(self) -> None:
        """Closes what scores, however long that takes."""
        if self._process is not None:
            self._process.close()

    def kill(self) -> None:
        """Ends the process with all that it has started, for good. From any thread; a call under way then ends."""
        self._killed = True
        if self._process is not None:
            self._process.kill()


class Process:
    """One life of ``vard_rewards.child``, with the pipes to it."""

    def __init__(self) -> None:
        requests, self._requests = pipe("wb")
        self._answers, answers = pipe("rb")
        lifeline, self._lifeline = pipe("wb")
        theirs = (requests, answers, lifeline)
        # -P: what lies in the working directory takes the place of nothing that the child imports. -u: what is printed before a
        # crash is not lost.
        command = [sys.executable, "-P", "-u", "-X", "faulthandler", "-m", child.__name__, *map(str, theirs)]
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        try:
            self._guard = subprocess.Popen(
                command, env=os.environ | {"PYTHONPATH": path}, pass_fds=theirs, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            )  # fmt: skip
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._printed = Printed(self._guard.stdout)
        self._pid = 0
        """Of the child that scores, and of its process group."""

    @property
    def closed(self) -> bool:
        return self._answers.closed

    def load(self, asked: bytes) -> tuple[bytes, bytearray]:
        """READY or FAILED, with what comes with it. Raises Died."""
        patience = Patience(lambda: True, STUCK)
        self._pid = int(self._receive(patience)[1])
        self._send(child.LOAD, asked, patience)
        return self._receive(patience)

    def score(self, request: bytes, patience: Patience) -> list[pb.RewardOutcome]:
        """Raises Died, or Stuck."""
        self._send(child.SCORE, request, patience)
        answer = self._receive(patience)[1]
        self._printed.pass_on()
        return list(pb.ScoreResponse.FromString(answer).outcomes)

    def _send(self, kind: bytes, body: bytes, patience: Patience) -> None:
        with suppress(BrokenPipeError):  # No answer comes then, which says so.
            frames.send(self._requests.fileno(), kind, body, lambda: self._wait(self._requests, selectors.EVENT_WRITE, patience))

    def _receive(self, patience: Patience) -> tuple[bytes, bytearray]:
        answer = frames.receive(self._answers.fileno(), lambda: self._wait(self._answers, selectors.EVENT_READ, patience))
        if answer is None:
            raise self._death()
        return answer

    def _wait(self, file: BinaryIO, event: int, patience: Patience) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(file, event)
            while not selector.select(POLL):
                if self._guard.poll() is not None and not selector.select(0):
                    # What it has started holds the pipe open, and could not be ended.
                    raise self._death()
                if patience.ended():
                    # Python tells where it is.
                    with suppress(ProcessLookupError):
                        os.kill(self._pid, signal.SIGUSR1)
                    time.sleep(POLL)
                    raise Stuck

    def _death(self) -> Died:
        """Why there is no answer. The guard has seen to it that nobody else holds the pipe."""
        try:
            code = self._guard.wait(guard.GRACE + guard.LAST_MOMENT + 1)
        except subprocess.TimeoutExpired:
            return Died(child.CLOSED_PIPE)
        how = f"killed by {signal_name(code - guard.SIGNALLED)}" if code > guard.SIGNALLED else f"exit code {code}"
        return Died(": ".join(filter(None, [f"its process died ({how})", self._printed.end()])), code)

    def close(self) -> None:
        """Waits until the child has closed what scores, and is gone with all that it has started."""
        self._requests.close()
        code = self._guard.wait()
        if code < 0 and self._pid:
            # Somebody has killed the guard, which therefore did not do this.
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        self._printed.end()
        self._lifeline.close()
        self._answers.close()

    def discard(self) -> None:
        """As ``close``, without waiting for what scores."""
        self.kill()
        self.close()

    def kill(self) -> None:
        self._lifeline.close()


def pipe(mode: str) -> tuple[int, BinaryIO] | tuple[BinaryIO, int]:
    """A pipe whose end for this process is a file of that mode, which does not block, and the other end a descriptor."""
    read, write = os.pipe()
    ours = write if mode == "wb" else read
    os.set_blocking(ours, False)
    with suppress(AttributeError, OSError):  # Linux has it, and bounds what a user may have of it.
        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    file = open(ours, mode, buffering=0)  # noqa: SIM115 - the caller closes it
    return (read, file) if mode == "wb" else (file, write)


class Patience:
    """Ends a while after a caller has left."""

    def __init__(self, wanted: Callable[[], bool], seconds: float) -> None:
        self._wanted = wanted
        self._seconds = seconds
        self._left: float | None = None

    def ended(self) -> bool:
        if self._wanted():
            return False
        if self._left is None:
            self._left = time.monotonic()
        return time.monotonic() - self._left > self._seconds


class Printed(threading.Thread):
    """Passes on what a process prints, and keeps the end."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__(name="printed", daemon=True)
        os.set_blocking(source.fileno(), False)
        self._source = source
        self._lock = threading.Lock()
        self._end = b""
        self.start()

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._source, selectors.EVENT_READ)
            while self.pass_on():
                selector.select()

    def pass_on(self) -> bool:
        """What there is now, so that an answer does not come before what was printed on the way to it. Gives whether there may be
        more."""
        with self._lock:
            part = self._source.read(MOST_PRINTED)
            if part:
                self._end = (self._end + part)[-KEPT_BYTES:]
                with suppress(OSError):  # A full disk: the function is not to wait until there is room.
                    os.write(sys.stderr.fileno(), part)
            return part != b""

    def end(self) -> str:
        """Waits for the last of it, and gives the last lines in one, without a traceback's underlining; of Python's own account of a
        crash, what and where."""
        self.join(timeout=1)
        lines = [line.strip() for line in self._end.decode(errors="replace").splitlines() if line.strip(UNDERLINING)]
        for start, line in enumerate(lines):
            if line.startswith("Fatal Python error"):
                where = next((i + 1 for i, other in enumerate(lines) if i > start and other.startswith("Current thread")), start + 1)
                return " | ".join([line, *lines[where : where + LAST_LINES - 1]])
        return " | ".join(lines[-LAST_LINES:])


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
