"""``python -m vard_worker serve``."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from vard_serving.arguments import add_starter


def main() -> None:
    parser = argparse.ArgumentParser(prog="vard_worker", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve vard.v1.WorkerService by gRPC")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=50051, help="port; 0 for a free one (default: %(default)s)")
    serve.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of a PyTorch operator (default: all cores)")
    add_starter(serve)
    access = serve.add_argument_group("who may call")
    access.add_argument("--tls-cert", type=Path, metavar="PEM", help="the server's certificate chain; without one there is no TLS")
    access.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    access.add_argument("--client-ca", type=Path, metavar="PEM", help="only clients with a certificate of these authorities are let in")
    access.add_argument("--token-file", type=Path, metavar="FILE", help="only clients with the bearer token in this file are let in")
    files = serve.add_argument_group("what callers may name (anything, if neither --root nor --model-root is given)")
    files.add_argument("--root", type=Path, action="append", default=[], metavar="DIR", help="checkpoints and exports lie under one of these")
    files.add_argument("--model-root", type=Path, action="append", default=[], metavar="DIR", help="models lie under one of these")
    files.add_argument("--allow-hub", action="store_true", help="models may be hub ids too")
    arguments = parser.parse_args()
    os.umask(0o077)  # What it writes is for its user alone.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    # Here and not above: gRPC and PyTorch take seconds to import, and nobody who asks for --help wants to wait for them.
    from vard_serving.security import Security

    try:
        security = Security.of(arguments.tls_cert, arguments.tls_key, arguments.client_ca, arguments.token_file)
        security.check_host(arguments.host)

        from vard_worker.roots import Roots

        roots = Roots.of(arguments.root, arguments.model_root, arguments.allow_hub)
    except ValueError as error:
        serve.error(str(error))

    from vard_worker.server import Settings
    from vard_worker.server import serve as run

    run(Settings(arguments.host, arguments.port, arguments.threads, arguments.ready_file, arguments.exit_with_stdin, security, roots))


if __name__ == "__main__":
    main()
