"""``python -m vard_rewards serve``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from vard_serving.arguments import add_starter
from vard_serving.search_path import put_users_modules_last


def options(text: str) -> dict[str, object]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def main() -> None:
    put_users_modules_last()
    parser = argparse.ArgumentParser(prog="vard_rewards", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve a function or class as vard.v1.RewardService by gRPC")
    serve.add_argument("--function", required=True, metavar="MODULE:NAME", help="what scores")
    serve.add_argument("--options", type=options, default={}, metavar="JSON", help="its keyword arguments")
    serve.add_argument("--device", default="auto", help="for those that take one: auto, cpu, cuda or cuda:N (default: %(default)s)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=50052, help="port; 0 for a free one (default: %(default)s)")
    add_starter(serve)
    access = serve.add_argument_group("who may call")
    access.add_argument("--tls-cert", type=Path, metavar="PEM", help="the server's certificate chain; without one there is no TLS")
    access.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    access.add_argument("--client-ca", type=Path, metavar="PEM", help="only clients with a certificate of these authorities are let in")
    access.add_argument("--token-file", type=Path, metavar="FILE", help="only clients with the bearer token in this file are let in")
    arguments = parser.parse_args()
    os.umask(0o077)  # What it writes is for its user alone.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    # Here and not above: gRPC takes a moment to import, and nobody who asks for --help wants to wait for it.
    from vard_serving.security import Security

    try:
        security = Security.of(arguments.tls_cert, arguments.tls_key, arguments.client_ca, arguments.token_file)
        security.check_host(arguments.host)
    except ValueError as error:
        serve.error(str(error))

    from vard_rewards.function import LoadError
    from vard_rewards.server import Settings
    from vard_rewards.server import serve as run

    try:
        run(
            Settings(
                arguments.function, arguments.options, arguments.device, arguments.host, arguments.port,
                arguments.ready_file, arguments.exit_with_stdin, security,
            )
        )  # fmt: skip
    except LoadError as error:
        # The last line of the log: what the starter shows.
        print(f"vard_rewards: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
