"""The yardstick: pyzmq REQ/REP with msgspec and nothing else. `python -m benchmarks.raw` is its server."""

from __future__ import annotations

from typing import Any

import msgspec
import zmq

from benchmarks.measure import Call


class Request(msgspec.Struct, array_like=True):
    name: str
    args: dict[str, float]


def serve() -> None:
    """Answers requests on a port that is printed first, until killed."""
    sock = zmq.Context().socket(zmq.REP)
    print(sock.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    decode, encode = msgspec.msgpack.Decoder(Request).decode, msgspec.msgpack.Encoder().encode
    while True:
        request = decode(sock.recv())
        sock.send(encode(request.args["a"] + request.args["b"]))


def connect(context: zmq.Context[Any], port: int) -> Call:
    """Returns a function that has the server add two numbers; its socket is closed with the context."""
    sock = context.socket(zmq.REQ)
    sock.setsockopt(zmq.LINGER, 0)
    sock.connect(f"tcp://127.0.0.1:{port}")
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode

    def call() -> None:
        sock.send(encode(("add", {"a": 1.0, "b": 2.0})))
        assert decode(sock.recv()) == 3.0

    return call


if __name__ == "__main__":
    serve()
