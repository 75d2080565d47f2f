"""Files replaced as a whole; signals that end a process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from egse.files import write_atomically
from egse.signals import ENDING, on_signals


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_with_its_permissions(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    write_atomically(path, b"new", 0o600, durable=durable)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    path = tmp_path / "setup.yaml"
    before = os.umask(0o027)
    try:
        write_atomically(path, b"Setup:\n", mode=None)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_signals_call_and_are_given_back() -> None:
    calls: list[str] = []
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGUSR1)}
    with on_signals(lambda: calls.append("stop"), user=lambda: calls.append("user")):
        for number in (*ENDING, signal.SIGUSR1):
            os.kill(os.getpid(), number)
    assert calls == ["stop", "stop", "stop", "user"]
    assert {number: signal.getsignal(number) for number in before} == before


def test_without_a_user_function_its_signal_stays_as_it_is() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with on_signals(lambda: None):
        assert signal.getsignal(signal.SIGUSR1) is before
