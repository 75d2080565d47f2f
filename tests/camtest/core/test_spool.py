"""Events survive the death of the process that wrote them, and reach the storage manager once and in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from camtest.core.forwarding import Forwarder, forward_abandoned, forward_spool
from camtest.core.spool import EventSpool, SpoolReader, abandoned_spools, read_events, spool_path

if TYPE_CHECKING:
    from conftest import FakeCore

WRITER = """
import os, sys
from pathlib import Path
from camtest.core.spool import EventSpool
spool = EventSpool(Path(sys.argv[1]), owner=True)
for number in range(int(sys.argv[2])):
    spool.write_event({"event": "start", "number": number})
print("written", flush=True)
sys.stdin.read()
"""


def killed_writer(path: Path, count: int) -> None:
    """Lets a process write events and kills it before it can do anything else."""
    path.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert abandoned_spools() == []
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_events_survive_kill_9(core: FakeCore) -> None:
    core.start_observation(run_id="run1")
    path = spool_path("run1")
    killed_writer(path, 1200)
    assert [event["number"] for event in read_events(path)] == list(range(1200))
    assert abandoned_spools() == [("run1", path)]
    assert forward_abandoned() == []  # the observation is open: whoever makes it safe reads them there
    assert path.exists()
    core.end_observation("run1", "orphaned")
    assert forward_abandoned() == ["run1"]
    (lines,) = core.supplements.values()
    assert [json.loads(line)["number"] for line in lines.splitlines()] == list(range(1200))
    assert not path.exists()


def test_events_of_a_sealed_observation_become_a_supplement(core: FakeCore) -> None:
    core.start_observation(run_id="run1")
    killed_writer(spool_path("run1"), 3)
    core.end_observation("run1", "orphaned")
    assert forward_abandoned() == ["run1"]
    (lines,) = core.supplements.values()
    assert [json.loads(line)["number"] for line in lines.splitlines()] == [0, 1, 2]


def test_events_of_an_unknown_run_stay_where_they_are(core: FakeCore) -> None:
    path = spool_path("nobody")
    killed_writer(path, 3)
    assert forward_abandoned() == []
    assert len(read_events(path)) == 3


def test_no_folder_for_spools_is_no_reason_to_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAMTEST_SPOOL_LOCATION", str(tmp_path / "file" / "spool"))
    assert forward_abandoned() == []
    assert "CAMTEST_SPOOL_LOCATION" in caplog.text


def test_only_what_is_missing_is_forwarded(core: FakeCore) -> None:
    core.start_observation(run_id="run1")
    spool = EventSpool(spool_path("run1"), owner=True)
    for number in range(5):
        spool.write_event({"number": number})
    core.append_events("run1", 0, [{"number": 0}, {"number": 1}])
    assert forward_spool("run1", spool.path) == 5
    assert [event["number"] for event in core.events] == [0, 1, 2, 3, 4]
    spool.close()


def test_forwarder_waits_for_the_storage_manager(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    core.start_observation(run_id="run1")
    spool = EventSpool(spool_path("run1"), owner=True)
    forwarder = Forwarder("run1", spool.path)
    core.away = True
    forwarder.start()
    spool.write_event({"number": 0})
    with pytest.raises(ConnectionError):
        forwarder.finish(patience=0.1)
    core.away = False
    assert forwarder.finish() == 1
    spool.close()


def test_a_line_without_its_end_is_not_an_event(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_bytes(b'{"number": 0}\nnonsense\n{"numb')
    reader = SpoolReader(path)
    assert reader.read() == [{"number": 0}, {"event": "unreadable", "text": "nonsense"}]
    with path.open("ab") as file:
        file.write(b'er": 2}\n')
    assert reader.read() == [{"number": 2}]
    assert reader.position == 3


def test_a_line_that_was_being_copied_when_its_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "x.events.jsonl"
    whole, room = b'{"number": 0}\n', bytes(100)
    path.write_bytes(
        whole + b'{"num' + bytes(4) + b" 1}\n" + room
    )  # its two ends are there, its middle is not
    assert SpoolReader(path).read() == read_events(path) == [{"number": 0}]
    spool = EventSpool(path, owner=True)
    spool.write_event({"number": 2})
    assert SpoolReader(path).read() == [{"number": 0}, {"number": 2}]
    spool.close()
    assert path.read_bytes() == whole + b'{"number":2}\n'


def test_two_owners_are_refused(tmp_path: Path) -> None:
    spool = EventSpool(tmp_path / "x.events.jsonl", owner=True)
    with pytest.raises(RuntimeError, match="another process"):
        EventSpool(tmp_path / "x.events.jsonl", owner=True)
    joined = EventSpool(tmp_path / "x.events.jsonl", owner=False)
    joined.write(b'{"number": 1}\n')
    joined.close()
    joined.close()
    spool.close()
    assert os.path.getsize(spool.path) == 14
