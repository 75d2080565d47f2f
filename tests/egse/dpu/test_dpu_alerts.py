"""Alerts, and the monitoring example of the manual (section 14.1) with the documented decoder in place of unpickling."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from egse.dpu import DPUMonitoring
from egse.dpu.messages import decode_message, encode_message
from egse.env import LOCAL_SETTINGS
from egse.settings import Settings
from egse.slack import send_alert
from egse.spw import NoBytesReceivedError, SpaceWireError, TimecodeTimeoutError
from egse.zmq import MessageIdentifier

from ...receiver import JSONReceiver

TIME = "2026-01-02T03:04:05.678+0000"


class Slack:
    """A web server that stands for Slack's."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.status = 200
        self.receiver = JSONReceiver(self._take)
        self.url = self.receiver.url

    def _take(self, _path: str, content: Any) -> int:
        self.texts.append(content["text"])
        return self.status


@pytest.fixture
def slack() -> Iterator[Slack]:
    made = Slack()
    with made.receiver:
        yield made


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def write(webhook: str) -> None:
        (tmp_path / "local.yaml").write_text(f"SLACK:\n  WEBHOOK: {webhook}\n")
        monkeypatch.setenv(LOCAL_SETTINGS, str(tmp_path / "local.yaml"))
        Settings.load(force=True)

    yield write
    monkeypatch.undo()
    Settings.load(force=True)


def test_an_alert_arrives(slack: Slack, configure: Callable[[str], None]) -> None:
    configure(f"{slack.url}/services/T/B/X")
    assert send_alert("the camera is hot: 30 °C")
    assert slack.texts == ["the camera is hot: 30 °C"]


def test_nothing_is_raised(
    slack: Slack, configure: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    assert not send_alert("no webhook")
    configure("file:///etc/passwd")
    assert not send_alert("no web address")
    slack.status = 500
    configure(f"{slack.url}/")
    assert not send_alert("refused")
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def speak() -> None:
            connection, _ = odd.accept()
            with connection:
                connection.sendall(b"SSH-2.0-odd\r\n")

        answer = threading.Thread(target=speak)
        answer.start()
        configure(f"http://127.0.0.1:{odd.getsockname()[1]}/")
        assert not send_alert("an odd answer", timeout=5.0)
        answer.join()
    configure("http://127.0.0.1:9/")
    assert not send_alert("nobody there", timeout=1.0)
    assert [
        text for text in ("no webhook", "refused", "an odd answer", "nobody there") if text not in caplog.text
    ] == []


def test_the_example_of_the_manual(slack: Slack, configure: Callable[[str], None]) -> None:
    configure(f"{slack.url}/")
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.linger = 0
        port = publisher.bind_to_random_port("tcp://127.0.0.1")

        hostname = "localhost"
        sub_id = MessageIdentifier.SYNC_ERROR_FLAGS.to_bytes(1, byteorder="big")
        receiver = context.socket(zmq.SUB)
        receiver.linger = 0
        receiver.connect(f"tcp://{hostname}:{port}")
        receiver.subscribe(sub_id)
        assert publisher.recv() == b"\x01" + sub_id

        for identifier, payload in (
            (MessageIdentifier.SYNC_TIMECODE, (7, TIME)),
            (MessageIdentifier.SYNC_ERROR_FLAGS, (0, 41, TIME)),
            (MessageIdentifier.SYNC_ERROR_FLAGS, (0x24, 42, TIME)),
        ):
            publisher.send_multipart(encode_message(identifier, payload))
        for _ in range(2):
            sync_id, (error_flags, frame_counter, timestamp) = decode_message(receiver.recv_multipart())
            msg = f"{sync_id.name}, {error_flags = } for {frame_counter = }"
            if error_flags:
                send_alert(msg)
        receiver.close(linger=0)
    assert slack.texts == ["SYNC_ERROR_FLAGS, error_flags = 36 for frame_counter = 42"]
    assert timestamp == TIME


def test_monitoring_waits_for_each_message(in_memory_stream: Any) -> None:
    publish, endpoint = in_memory_stream
    hk = _hk_packet
    with DPUMonitoring(endpoint) as moni:
        publish(MessageIdentifier.SYNC_TIMECODE, (63, TIME))
        assert moni.wait_for_timecode(5.0) == (63, TIME)
        publish(MessageIdentifier.SYNC_HK_PACKET, (hk(1), TIME))
        publish(MessageIdentifier.SYNC_HK_PACKET, (hk(0), TIME))
        publish(MessageIdentifier.SYNC_HK_PACKET, (hk(1), TIME))
        long = moni.wait_for_long_pulse(5.0)
        short = moni.wait_for_short_pulse(5.0)
        assert long is not None
        assert short is not None
        assert (long.type.frame_number, short.type.frame_number) == (0, 1)
        publish(MessageIdentifier.NUM_CYCLES, 2)
        publish(MessageIdentifier.NUM_CYCLES, 1)
        assert moni.wait_for_num_cycles(1, 5.0)
        publish(MessageIdentifier.HDF5_FILENAMES, ["/a.hdf5"])
        assert moni.wait_for_hdf5_filenames(5.0) == ["/a.hdf5"]
        publish(MessageIdentifier.SYNC_ERROR_FLAGS, (0, 1, TIME))
        publish(MessageIdentifier.SYNC_ERROR_FLAGS, (8, 2, TIME))
        assert moni.wait_for_error_flags(5.0) == (8, 2, TIME)
        publish(MessageIdentifier.N_FEE_RESYNC, (True, "power", TIME))
        assert moni.wait_for_fee_resync(5.0) == (True, "power", TIME)
        assert moni.wait_for_timecode(0.01) is None
        assert moni.wait_for_error_flags(0.0) is None
        assert not moni.wait_for_num_cycles(0, 0.0)
    with pytest.raises(ConnectionError, match="not connected"):
        moni.receive(0.0)


def test_silent_errors_of_the_loop_have_names() -> None:
    assert issubclass(NoBytesReceivedError, SpaceWireError)
    assert issubclass(TimecodeTimeoutError, SpaceWireError)


def _hk_packet(frame: int) -> bytes:
    from egse.spw import PacketKind, PacketType, encode_header

    kind = PacketType(0, True, 0, 0, frame, PacketKind.HOUSEKEEPING)
    return encode_header(144, kind.word, 1, 0) + bytes(144)


@pytest.fixture
def in_memory_stream() -> Iterator[tuple[Callable[[MessageIdentifier, Any], None], str]]:
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.linger = 0
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        subscribed = []

        def publish(identifier: MessageIdentifier, payload: Any) -> None:
            while not subscribed or len(subscribed) < len(MessageIdentifier) - 2:
                subscribed.append(publisher.recv())
            publisher.send_multipart(encode_message(identifier, payload))

        yield publish, f"tcp://127.0.0.1:{port}"
