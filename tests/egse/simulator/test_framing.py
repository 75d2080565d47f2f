"""Commands are the same however the network cuts the stream into packets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egse.simulator import LineFramer

COMMANDS = st.lists(st.text("*IDN?KRDG 0123456789,;", min_size=1).map(str.strip).filter(bool), max_size=12)
ENDINGS = st.sampled_from(["\n", "\r", "\r\n", "\n\n", " \r\n", "\r\n\r\n"])


@given(data=st.data(), commands=COMMANDS)
def test_every_split_of_a_stream_gives_the_same_commands(data: st.DataObject, commands: list[str]) -> None:
    stream = "".join(command + data.draw(ENDINGS) for command in commands).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    framer = LineFramer()
    got = [command for piece in pieces for command in framer.feed(piece)]
    assert got == [command.encode() for command in commands]


def test_byte_at_a_time_and_all_in_one_packet() -> None:
    stream = b"KRDG? A\r\n\n  SETP 1,25.5 \rHTR? 1\n"
    one_by_one = LineFramer()
    got = [command for i in range(len(stream)) for command in one_by_one.feed(stream[i : i + 1])]
    assert got == LineFramer().feed(stream) == [b"KRDG? A", b"SETP 1,25.5", b"HTR? 1"]


def test_unfinished_command_waits_for_its_end() -> None:
    framer = LineFramer()
    assert framer.feed(b"KRDG") == []
    assert framer.feed(b"? A") == []
    assert framer.feed(b"\n") == [b"KRDG? A"]


def test_too_long_line_is_dropped_and_the_next_one_understood() -> None:
    framer = LineFramer(max_length=10)
    assert framer.feed(b"x" * 25) == []
    assert framer.feed(b"y" * 25 + b"\nHTR? 1\n") == [b"HTR? 1"]
    assert framer.dropped == 1
    assert framer.feed(b"z" * 11 + b"\n" + b"0123456789\n") == [b"0123456789"]
    assert framer.dropped == 2


def test_other_terminators() -> None:
    assert LineFramer(terminators=b"\x03").feed(b"get x\r\n\x03rest") == [b"get x\r\n"]
