"""``python -m vard_worker serve``."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard_worker", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve vard.v1.WorkerService by gRPC")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=50051, help="port; 0 for a free one (default: %(default)s)")
    serve.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of a PyTorch operator (default: all cores)")
    serve.add_argument("--ready-file", type=Path, help="written when it serves: JSON of port and pid")
    serve.add_argument("--exit-with-stdin", action="store_true", help="end when standard input ends, so as not to outlive the starter")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Seconds of imports, and nobody who asks for --help wants to wait for them.
    from vard_worker.server import serve as run

    run(arguments.host, arguments.port, arguments.threads, arguments.ready_file, arguments.exit_with_stdin)


if __name__ == "__main__":
    main()
