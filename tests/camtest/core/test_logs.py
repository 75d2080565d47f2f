"""Log records of a kernel or runner reach the log manager with what was going on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camtest.core.dryrun import DryRun
from camtest.core.logs import log_as
from camtest.state import install_dry_run
from egse.logger.files import LogFiles, decode_line
from egse.logger.handler import close_all_zmq_handlers, installed_handlers, set_context_source
from egse.logger.receiver import LogReceiver
from egse.logger.records import LogMessage
from egse.proxy import command_context


@pytest.fixture
def written(
    tmp_path: Path, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], list[LogMessage]]]:
    """A log manager's receiver; returns what was written, once everything is."""
    endpoint = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setattr("egse.logger.handler.receiver_endpoint", lambda: endpoint)
    receiver = LogReceiver(endpoint, LogFiles(tmp_path / "general.log"), lambda _: None)
    receiver.start()

    def read() -> list[LogMessage]:
        assert all(handler.flush_records(10) for handler in installed_handlers())
        found = map(decode_line, (tmp_path / "general.jsonl").read_bytes().splitlines())
        return [message for message in found if message is not None and message.caller == "camtest.test"]

    yield read
    set_context_source(None)
    close_all_zmq_handlers()
    receiver.end()
    receiver.join(5)
    receiver.close_files()


def test_records_say_what_was_going_on(
    written: Callable[[], list[LogMessage]], capsys: pytest.CaptureFixture[str]
) -> None:
    log_as("kernel")
    logger = logging.getLogger("camtest.test")
    logger.debug("outside")
    with command_context(obsid="LAB_00001_00007", block="home_hexapod"):
        logger.info("inside")
    previous = install_dry_run(DryRun(None, "rehearsal", supervised=True))
    try:
        logger.warning("rehearsal")
    finally:
        install_dry_run(previous)
    outside, inside, rehearsal = written()
    assert (outside.process, outside.level, outside.obsid, outside.mode) == (
        "kernel",
        "DEBUG",
        "",
        "operations",
    )
    assert (inside.obsid, inside.block) == ("LAB_00001_00007", "home_hexapod")
    assert rehearsal.mode == "dry-run"
    shown = capsys.readouterr().err
    assert "rehearsal" in shown
    assert "inside" not in shown
