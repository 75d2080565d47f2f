"""The TCP transport against a real socket: late bytes, lost connections, silence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from egse.device import (
    DeviceConnectionError,
    DeviceTimeoutError,
    TCPTransport,
    lock_hardware,
)

Script = Callable[[socket.socket], None]


class Instrument:
    """Accepts connections one after the other and plays one script for each."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.received: list[bytes] = []
        self.closed = threading.Event()
        self.threads: list[threading.Thread] = []

    def play(self, *scripts: Script) -> TCPTransport:
        def run() -> None:
            for script in scripts:
                connection, _ = self.listener.accept()
                with connection:
                    script(connection)
                self.closed.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)
        return TCPTransport("127.0.0.1", self.port, timeout=1.0)

    def answer(self, connection: socket.socket, reply: bytes) -> None:
        self.received.append(connection.recv(100))
        connection.sendall(reply)


@pytest.fixture
def instrument() -> Iterator[Instrument]:
    made = Instrument()
    yield made
    made.listener.close()
    for thread in made.threads:
        thread.join(2)


def test_a_reply_in_pieces_is_put_together(instrument: Instrument) -> None:
    def pieces(connection: socket.socket) -> None:
        instrument.answer(connection, b"+29")
        connection.sendall(b"3.15\r")
        connection.sendall(b"\n")
        connection.recv(1)

    transport = instrument.play(pieces)
    assert transport.query("KRDG? A") == b"+293.15\r\n"
    assert instrument.received == [b"KRDG? A\n"]
    transport.disconnect()


def test_bytes_that_come_late_are_not_the_next_answer(instrument: Instrument) -> None:
    sent = threading.Event()

    def chatty(connection: socket.socket) -> None:
        instrument.answer(connection, b"one\nlate rubbish\n")
        sent.set()
        instrument.answer(connection, b"two\n")
        connection.recv(1)

    transport = instrument.play(chatty)
    assert transport.query("1") == b"one\n"
    assert sent.wait(30)
    assert transport.query("2") == b"two\n"
    transport.disconnect()


def test_silence_is_a_timeout_and_closes_the_connection(instrument: Instrument) -> None:
    transport = instrument.play(lambda connection: connection.recv(100) and connection.recv(1))
    with pytest.raises(DeviceTimeoutError, match=r"no reply from 127\.0\.0\.1"):
        transport.query("?")
    assert not transport.is_connected()


def test_a_connection_closed_while_idle_is_made_anew(instrument: Instrument) -> None:
    transport = instrument.play(
        lambda connection: instrument.answer(connection, b"one\n"),
        lambda connection: instrument.answer(connection, b"two\n"),
    )
    assert transport.query("1") == b"one\n"
    assert instrument.closed.wait(30)
    assert transport.query("2") == b"two\n"
    assert instrument.received == [b"1\n", b"2\n"]
    transport.disconnect()


def test_nobody_there_says_what_to_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceConnectionError, match=rf"127\.0\.0\.1:{port}.*switched on"):
        TCPTransport("127.0.0.1", port).connect()


def test_a_lost_device_fails_fast_and_is_found_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    transport = TCPTransport("127.0.0.1", port)
    with pytest.raises(DeviceConnectionError, match="cannot connect"):
        transport.query("?")
    with pytest.raises(DeviceConnectionError, match="the next attempt is in"):
        transport.query("?")

    back = Instrument(port)
    try:
        back.play(lambda connection: back.answer(connection, b"here\n"))
        wait_until(lambda: answers(transport) == b"here\n")
        assert back.received == [b"?\n"]
    finally:
        transport.disconnect()
        back.listener.close()


def answers(transport: TCPTransport) -> bytes | None:
    try:
        return transport.query("?")
    except DeviceConnectionError:
        return None


def wait_until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(200):
        if condition():
            return
        tick.wait(0.02)
    raise AssertionError("not in time")


def test_locked_hardware_cannot_be_reached(instrument: Instrument) -> None:
    lock_hardware("this is a dry run")
    try:
        with pytest.raises(DeviceConnectionError, match="this is a dry run"):
            TCPTransport("127.0.0.1", instrument.port).query("?")
    finally:
        lock_hardware(None)
