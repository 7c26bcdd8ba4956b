"""Certificates for tests: an authority, and what it signs. ECDSA on P-256 in plain Python, so that no tool and no package
is needed; it is slow, leaks its keys by timing, and does for a test.

DER: ITU-T X.690; certificates: RFC 5280; the curve and its signatures: FIPS 186-5, SEC 1.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def add(a: Point, b: Point) -> Point:
    """The sum of two points of y² = x³ - 3x + b over the field of P; None is the neutral one."""
    if a is None or b is None:
        return a or b
    (x1, y1), (x2, y2) = a, b
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) if a == b else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def times(k: int, point: Point) -> Point:
    result = None
    for bit in bin(k)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def der(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (length if len(body) < 128 else bytes([0x80 | len(length)]) + length) + body


def integer(n: int) -> bytes:
    return der(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))

    def base128(n: int) -> bytes:
        return reduce(lambda tail, shift: tail + bytes([(n >> shift & 0x7F) | (0x80 if shift else 0)]), range(28, -1, -7), b"").lstrip(b"\x80")

    return der(0x06, bytes([40 * first + second]), *map(base128, rest))


def sequence(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def bits(data: bytes) -> bytes:
    return der(0x03, b"\0", data)


EC_KEY, P256, ECDSA_SHA256 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2"
COMMON_NAME, ALTERNATIVE_NAMES, BASIC_CONSTRAINTS = "2.5.4.3", "2.5.29.17", "2.5.29.19"


def pem(label: str, data: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(data) + f"-----END {label}-----\n".encode()


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, PEM, and what signing with it needs."""

    name: str
    secret: int
    certificate: bytes
    key: bytes


def issue(name: str, issuer: Identity | None = None) -> Identity:
    """A certificate for ``name``, localhost and 127.0.0.1; without an issuer an authority, signed by itself."""
    secret = secrets.randbelow(N - 1) + 1
    x, y = times(secret, G)
    public = bits(b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))

    def subject(common_name: str) -> bytes:
        return sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0C, common_name.encode()))))

    algorithm = sequence(oid(ECDSA_SHA256))
    names = sequence(der(0x82, b"localhost"), der(0x87, bytes([127, 0, 0, 1])))
    constraints = sequence(der(0x01, b"\xff")) if issuer is None else sequence()
    to_sign = sequence(
        der(0xA0, integer(2)),
        integer(secrets.randbits(64)),
        algorithm,
        subject(issuer.name if issuer else name),
        sequence(der(0x18, b"20200101000000Z"), der(0x18, b"21200101000000Z")),
        subject(name),
        sequence(sequence(oid(EC_KEY), oid(P256)), public),
        der(0xA3, sequence(
            sequence(oid(BASIC_CONSTRAINTS), der(0x01, b"\xff"), der(0x04, constraints)),
            sequence(oid(ALTERNATIVE_NAMES), der(0x04, names)),
        )),
    )  # fmt: skip
    certificate = sequence(to_sign, algorithm, bits(sign(issuer.secret if issuer else secret, to_sign)))
    private = sequence(integer(1), der(0x04, secret.to_bytes(32, "big")), der(0xA1, public))
    key = sequence(integer(0), sequence(oid(EC_KEY), oid(P256)), der(0x04, private))
    return Identity(name, secret, pem("CERTIFICATE", certificate), pem("PRIVATE KEY", key))


def sign(secret: int, message: bytes) -> bytes:
    k = secrets.randbelow(N - 1) + 1
    r = times(k, G)[0] % N
    s = pow(k, -1, N) * (int.from_bytes(hashlib.sha256(message).digest(), "big") + r * secret) % N
    return sequence(integer(r), integer(s))


def main() -> None:
    """``certificates.py DIR`` writes PEM files, a certificate and a key each: authority, worker, orchestrator, stranger."""
    authority = issue("authority")
    for identity in (authority, issue("worker", authority), issue("orchestrator", authority), issue("stranger")):
        Path(sys.argv[1], f"{identity.name}.pem").write_bytes(identity.certificate)
        Path(sys.argv[1], f"{identity.name}.key").write_bytes(identity.key)


if __name__ == "__main__":
    main()
