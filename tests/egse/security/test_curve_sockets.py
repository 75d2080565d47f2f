"""CURVE on real sockets: who gets in, what the others see, what is logged."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from egse import channel as channels
from egse.channel import CONNECT_TIMEOUT, Channel
from egse.security import (
    Guard,
    HandshakeError,
    KeyFolder,
    KeysError,
    Role,
    await_connection,
    secure_client,
)
from egse.security.curve import act_as, is_loopback


class Echo(threading.Thread):
    """A ROUTER that answers with the person who asks."""

    def __init__(self, endpoint: str = "") -> None:
        super().__init__(daemon=True)
        self.context: zmq.Context[Any] = zmq.Context()
        self.guard = Guard("echo_cs", self.context)
        self.sock = self.context.socket(zmq.ROUTER)
        self.sock.linger = 0
        self.sock.rcvtimeo = 50
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.endpoint = endpoint or f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        self.guard.secure(self.sock, self.endpoint)
        self.sock.bind(self.endpoint)
        act_as(None)  # server and clients are one process here
        self.received: list[bytes] = []
        self.ending = threading.Event()

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                client = self.sock.recv()
                frame = self.sock.recv(copy=False)
            except zmq.Again:
                continue
            caller = self.guard.caller(frame)
            if caller is not None:
                self.received.append(frame.bytes)
                self.sock.send_multipart([client, f"{caller.person} {caller.role}".encode()])

    def end(self) -> None:
        self.ending.set()
        self.join()
        self.guard.close()
        self.context.destroy(linger=0)


class Client:
    def __init__(self, endpoint: str, *, secure: bool = True) -> None:
        self.endpoint = endpoint
        self.context: zmq.Context[Any] = zmq.Context()
        self.sock = self.context.socket(zmq.DEALER)
        self.sock.linger = 0
        self.sock.immediate = 1
        self.sock.reconnect_ivl = 20
        try:
            if secure:
                secure_client(self.sock, endpoint)
        except HandshakeError:
            self.close()
            raise
        self.address = endpoint

    def ask(self, timeout: float = 5.0) -> bytes | None:
        address, self.address = self.address, ""
        if not await_connection(self.sock, self.endpoint, timeout, address):
            return None
        self.sock.send(b"hello")
        return self.sock.recv() if self.sock.poll(1000) else b""

    def close(self) -> None:
        self.context.destroy(linger=0)


def ask(endpoint: str, *, secure: bool = True) -> bytes | None:
    client = Client(endpoint, secure=secure)
    try:
        return client.ask()
    finally:
        client.close()


def wait_for(condition: Any, limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        threading.Event().wait(0.02)


@pytest.fixture
def echo(keys: KeyFolder) -> Iterator[Echo]:
    server = Echo()
    server.start()
    yield server
    server.end()


def test_authorised_people_are_known_by_name(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(echo.endpoint) == b"alice command"
    monkeypatch.setenv("PLATO_KEY_NAME", "olivia")
    assert ask(echo.endpoint) == b"olivia observe"


def test_a_key_that_is_not_authorised(
    echo: Echo, keys: KeyFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLATO_KEY_NAME", "mallory")
    started = time.monotonic()
    with pytest.raises(HandshakeError, match="does not accept this key"):
        ask(echo.endpoint)
    assert time.monotonic() - started < 4.0, "a refusal is told at once, not after a time-out"
    key = keys.public("mallory").decode()
    wait_for(lambda: f"echo_cs rejected 127.0.0.1: the key {key} is not authorised" in caplog.text)
    assert echo.received == []
    keys.authorize("mallory", Role.OBSERVE)
    assert ask(echo.endpoint) == b"mallory observe"


def test_a_refusal_is_heard_by_a_client_that_is_slow(
    echo: Echo, keys: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once only: who connected first and listened afterwards heard nothing, and took it for an absent server."""

    def slowly(*args: Any) -> bool:
        threading.Event().wait(0.3)
        return await_connection(*args)

    monkeypatch.setenv("PLATO_KEY_NAME", "mallory")
    monkeypatch.setattr(channels, "await_connection", slowly)
    with pytest.raises(HandshakeError, match="does not accept this key"):
        Channel(echo.endpoint).wait_connected(2.0)


def test_a_refusal_while_nobody_asked_is_told_to_who_asks(keys: KeyFolder) -> None:
    """The server was started anew, and the key has been revoked meanwhile."""
    echo = Echo()
    echo.start()
    channel = Channel(echo.endpoint)
    try:
        assert channel.wait_connected(2.0)
        echo.end()
        keys.revoke("alice")
        echo = Echo(echo.endpoint)
        echo.start()
        wait_for(lambda: echo.guard.rejections)
        threading.Event().wait(CONNECT_TIMEOUT)
        with pytest.raises(HandshakeError, match="was revoked"):
            channel.wait_connected(2.0)
    finally:
        channel.close()
        echo.end()


def test_a_client_without_keys_meets_silence(echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(echo.endpoint, secure=False)
    try:
        with pytest.raises(HandshakeError, match="breaks off the handshake"):
            client.ask()
        assert client.sock.poll(100) == 0
    finally:
        client.close()
    wait_for(lambda: "it uses no key" in caplog.text)
    assert echo.received == []
    assert echo.guard.rejections >= 1


def test_the_wrong_key_of_the_server(echo: Echo, keys: KeyFolder, caplog: pytest.LogCaptureFixture) -> None:
    (keys.path / "server.key").write_bytes((keys.path / "mallory.key").read_bytes())
    with pytest.raises(HandshakeError, match="is not its key"):
        ask(echo.endpoint)
    wait_for(lambda: "wrong key of this server" in caplog.text)
    assert echo.received == []


def test_a_revoked_key_on_a_connection_that_stands(
    echo: Echo, keys: KeyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(echo.endpoint)
    try:
        assert client.ask() == b"alice command"
        keys.revoke("alice")
        threading.Event().wait(0.3)  # the documented delay for connections that stand
        client.sock.send(b"secret command")
        assert client.sock.poll(300) == 0
    finally:
        client.close()
    assert b"secret command" not in echo.received
    assert "under a key that was revoked" in caplog.text
    with pytest.raises(HandshakeError, match="was revoked"):
        ask(echo.endpoint)


def test_raw_bytes_do_no_harm(echo: Echo) -> None:
    host, _, port = echo.endpoint.removeprefix("tcp://").rpartition(":")
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 64, b"\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE" + b"\0" * 300):
        with socket.create_connection((host, int(port)), timeout=2.0) as raw:
            raw.sendall(junk)
    assert ask(echo.endpoint) == b"alice command"


def test_repeated_rejections_do_not_flood_the_log(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLATO_KEY_NAME", "mallory")
    for _ in range(5):
        with pytest.raises(HandshakeError):
            ask(echo.endpoint)
    assert echo.guard.rejections >= 5
    assert caplog.text.count("is not authorised") == 1


def test_a_secured_client_and_a_plain_server(keys: KeyFolder) -> None:
    context: zmq.Context[Any] = zmq.Context()
    plain = context.socket(zmq.ROUTER)
    port = plain.bind_to_random_port("tcp://127.0.0.1")
    try:
        with pytest.raises(HandshakeError, match="takes no keys at all"):
            ask(f"tcp://127.0.0.1:{port}")
    finally:
        context.destroy(linger=0)


def test_nobody_there_is_no_matter_of_keys(keys: KeyFolder) -> None:
    client = Client("tcp://127.0.0.1:9")
    try:
        assert client.ask(timeout=0.2) is None
    finally:
        client.close()


def test_a_client_without_a_key_of_its_own(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATO_KEY_NAME", "nobody")
    with pytest.raises(HandshakeError, match="cgse keys create nobody"):
        ask(echo.endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://*:5000", "tcp://0.0.0.0:5000", "tcp://192.0.2.7:5000", "tcp://[::]:5000", "tcp://lab:5000"],
)
def test_no_address_but_loopback_without_keys(local_settings: Path, endpoint: str) -> None:
    context: zmq.Context[Any] = zmq.Context()
    guard = Guard("echo_cs", context)
    sock = context.socket(zmq.ROUTER)
    try:
        with pytest.raises(
            KeysError, match=r"does not start: .* is not on the loopback interface, which needs keys"
        ):
            guard.secure(sock, endpoint)
        with pytest.raises(HandshakeError, match="asks for keys"):
            secure_client(sock, endpoint)
        assert not guard.active
    finally:
        context.destroy(linger=0)


def test_loopback_needs_no_keys_in_a_sandbox(local_settings: Path) -> None:
    server = Echo()
    server.start()
    try:
        assert ask(server.endpoint) == b" command"
        assert not server.guard.active
    finally:
        server.end()


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.8.8.8:1", True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:1", True),
        ("ipc:///tmp/x", True),
        ("inproc://x", True),
        ("tcp://127.0.0.1.example.org:1", False),
        ("tcp://localhost.evil:1", False),
        ("tcp://127.0.0.1:0;192.0.2.7:1", False),
        ("tcp://eth0:1", False),
    ],
)
def test_what_is_loopback(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) is expected


def test_the_guard_ends_and_leaves_no_thread(keys: KeyFolder) -> None:
    before = threading.active_count()
    server = Echo()
    server.start()
    logging.getLogger(__name__).debug("serving at %s", server.endpoint)
    server.end()
    assert threading.active_count() == before
