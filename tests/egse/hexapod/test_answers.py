"""Numbers in answers, and command registers that are slow or never taken."""

from __future__ import annotations

import pytest

from egse.clock import VirtualClock
from egse.hexapod import HexapodError
from egse.hexapod.symetrie.answers import to_numbers, wait_for_register
from egse.hexapod.symetrie.states import RETURN_CODES, set_bits


def test_numbers() -> None:
    assert to_numbers(["1", "-2"], int, 2) == [1, -2]
    with pytest.raises(HexapodError, match="no numbers"):
        to_numbers(["1.5"], int, 1)
    with pytest.raises(HexapodError, match="2 values, expected 1"):
        to_numbers(["1.5", "2"], float, 1)


def test_a_register_that_is_taken_late_refused_or_never() -> None:
    clock = VirtualClock()
    codes = iter([11, 11, 0])
    assert wait_for_register(lambda: next(codes), clock, 0.1, 5.0, "Q20=11") == 0
    assert clock.monotonic() == pytest.approx(0.2)
    assert wait_for_register(lambda: -2, clock, 0.1, 5.0, "Q20=11") == -2
    with pytest.raises(HexapodError, match="did not take 'Q20=11' within 5 s"):
        wait_for_register(lambda: 11, clock, 0.1, 5.0, "Q20=11")


def test_texts_of_bits_and_codes() -> None:
    assert set_bits(0b101, ("a", "b")) == {0: "a", 2: "Reserved"}
    assert all(code in RETURN_CODES for code in (*range(-82, -29), *range(-29, -9), -1, 0, -1016))
