"""A whole reward server over HTTP, in Python's standard library and Pillow: how colourful is an image?

    ./vard python examples/reward-servers/http/score_server.py [PORT]
    ./vard run examples/emoji-http.yaml

It speaks what Flow-Factory's reward servers speak, so that one of those will do as well. To make it one's own, put another function in
the place of `colourfulness`. It listens on loopback; beyond it, put it behind a proxy that speaks TLS and asks for a token.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


def colourfulness(rgb: np.ndarray) -> float:
    """Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003): 0 is grey, 100 and more extremely colourful.

    rgb: height x width x 3, 0 to 255.
    """
    red, green, blue = (rgb[..., channel].astype(np.float64) for channel in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


class ScoreHandler(BaseHTTPRequestHandler):
    # Connections are kept: a run asks often.
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, {"status": "ok"})
        else:
            self.answer(404, {"detail": "there is /health and /compute"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/compute":
            self.answer(404, {"detail": "there is /health and /compute"})
            return
        try:
            images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in json.loads(body)["image"]]
        except (ValueError, KeyError, TypeError, OSError) as error:
            self.answer(400, {"detail": f"no images in base64: {error!r}"})  # asked again it would be no better
            return
        self.answer(200, {"rewards": [colourfulness(image) for image in images]})

    def answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """A line for each call helps nobody."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), ScoreHandler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
