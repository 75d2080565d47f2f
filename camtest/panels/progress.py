"""How far the running observation is, from files: the record of its run on this machine, and its events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from camtest.run.journal import RunRecord, decode, list_runs
from egse.files import read_tail

TAIL = 65_536
"""So much of the end of a file is read [bytes]: panels look once a second."""


def progress_of(run_id: str, folder: str = "") -> dict[str, str]:
    """Returns how far an observation is, in words; what cannot be seen from this machine is left out.

    Args:
        run_id: the observation.
        folder: its folder, where the data disk is at hand.
    """
    found: dict[str, str] = {}
    record = next((r for r in reversed(list_runs()) if r.run_id == run_id), None)
    if record is not None:
        found |= _cells(record)
    blocks = running_blocks(Path(folder)) if folder else []
    if blocks:
        found["building block"] = " > ".join(blocks)
    return found


def _cells(record: RunRecord) -> dict[str, str]:
    found = {"procedure": str(record.header.get("name", ""))}
    for line in reversed(read_tail(record.path, TAIL).splitlines()):
        entry = decode(line) if b'"kind":"cell"' in line else None
        if entry is not None:
            title = str(entry.get("title", ""))
            found["cell"] = f"{entry['number']} of {entry['count']}: {title} ({entry['status']})"
            break
    return found


def running_blocks(folder: Path) -> list[str]:
    """Returns the building blocks that have started and not ended, outermost first.

    Args:
        folder: of the observation.
    """
    path = next(iter(folder.glob("*_events.jsonl")), None)
    if path is None:
        return []
    open_blocks: dict[Any, str] = {}
    for line in read_tail(path, TAIL).splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the line at which the tail begins
            continue
        if event.get("event") == "start":
            open_blocks[event.get("bbid")] = str(event.get("block", ""))
        elif event.get("event") in ("end", "failed"):
            open_blocks.pop(event.get("bbid"), None)
    return list(open_blocks.values())
