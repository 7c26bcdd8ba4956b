"""A Python reward as a gRPC server: ``vard.v1.RewardService``.

What scores runs in another process, which forks and spawns as it likes (``vard_rewards.scorer``). One thread here asks it: models
need not bear several threads, and a GPU gains nothing from two. gRPC's own threads wait for it, so that images arrive while it
computes.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from vard.v1 import reward_pb2 as pb
from vard_rewards.scorer import Scorer
from vard_serving.process import KEEPALIVE, announce, listen, told_to_stop
from vard_serving.security import Security

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"]
CALLS = 32
"""Calls at a time, with a thread each; more wait for one."""
FAREWELL = 5.0
"""Seconds for the call under way, and for what scores to be closed."""
MOST_PIXELS = 1 << 28
"""Of an image: beyond, height and width are no sizes."""


@dataclass(frozen=True)
class Settings:
    """How a reward is started."""

    function: str
    """``module:name``."""
    options: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = 0
    """0 for a free one."""
    ready_file: Path | None = None
    """Written when it serves."""
    exit_with_stdin: bool = False
    security: Security = Security()


class RewardServer:
    """Answers for one reward; whatever name it is asked for by, it is the only one."""

    def __init__(self, scorer: Scorer, computing: ThreadPoolExecutor) -> None:
        """``computing`` has the one thread, which has started ``scorer``."""
        self._scorer = scorer
        self._computing = computing

    def DescribeReward(self, request: pb.DescribeRewardRequest, context: grpc.ServicerContext) -> pb.DescribeRewardResponse:
        return self._scorer.described

    def Score(self, request: bytes, context: grpc.ServicerContext) -> pb.ScoreResponse:
        """``request`` goes on as it is: to serialise images again takes ten times what the pipe does."""
        for index, query in enumerate(pb.ScoreRequest.FromString(request).queries):
            if not (0 < query.height and 0 < query.width and query.height * query.width <= MOST_PIXELS and len(query.rgb) == 3 * query.height * query.width):
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"queries[{index}]: {len(query.rgb)} bytes are no RGB image of {query.height} x {query.width}; give height x width x 3",
                )
        answer = self._computing.submit(self._scorer.score, request, context.is_active)
        return pb.ScoreResponse(outcomes=answer.result())

    def handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE.full_name,
            {
                "DescribeReward": grpc.unary_unary_rpc_method_handler(
                    self.DescribeReward, pb.DescribeRewardRequest.FromString, pb.DescribeRewardResponse.SerializeToString
                ),
                "Score": grpc.unary_unary_rpc_method_handler(self.Score, response_serializer=pb.ScoreResponse.SerializeToString),
            },
        )

    def close(self) -> None:
        """Closes what scores, and ends it if it takes too long."""
        closing = self._computing.submit(self._scorer.close)
        try:
            closing.result(FAREWELL)
        except Late:
            log.warning("%s has not come to an end, and is ended", self._scorer.function)
            self._scorer.kill()
        self._computing.shutdown()


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, SIGINT or, if asked for, the end of standard input. Raises LoadError."""
    settings.security.check_host(settings.host)
    stop = told_to_stop(settings.exit_with_stdin)
    computing = ThreadPoolExecutor(1, "computing")
    scorer = Scorer(settings.function, settings.options, settings.device)
    loading = computing.submit(scorer.start)
    while not loading.done():
        if stop.wait(0.1):
            # A model may load for minutes, or be downloaded for hours: for nobody.
            scorer.kill()
            loading.exception()
            return
    loading.result()
    reward = RewardServer(scorer, computing)
    server, port = start(reward, settings)
    if settings.ready_file:
        announce(settings.ready_file, port)
    stop.wait()
    server.stop(grace=0.5).wait()
    reward.close()


def start(reward: RewardServer, settings: Settings) -> tuple[grpc.Server, int]:
    """A server that answers, and its port."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=CALLS, thread_name_prefix="grpc"),
        interceptors=settings.security.interceptors(),
        # Images are as large as they are.
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0), *KEEPALIVE],
    )
    server.add_generic_rpc_handlers([reward.handlers()])
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for name in ("", SERVICE.full_name):
        healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    port = listen(server, settings.host, settings.port, settings.security)
    server.start()
    log.info("serving %s on %s:%d", settings.function, settings.host, port)
    return server, port
