"""The record of all observations of a site: one state machine for each, replayed from a file of records.

    open -> closing -> closed

Appending the record `open` is the allocation of the test id. `closing` fixes the status for good; `closed` adds the
checksum of the manifest once the storage manager has sealed the folder. States only follow in this order, and every
change is on disk before anything else happens.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import msgspec

from egse.confman.recordfile import DamagedRecordError, RecordFile, decode_line, read_lines
from egse.decorators import fail_point
from egse.response import register_error
from egse.storage.manifest import Link
from egse.storage.naming import OBSID_TABLE
from egse.storage.observation import STATUSES, ObservationInfo

LOGGER = logging.getLogger(__name__)

RECORD_FILE = "observations.jsonl"
"""The record in the data folder of the site."""

OPEN, CLOSING, CLOSED = "open", "closing", "closed"
FOLLOWS = {CLOSING: OPEN, CLOSED: CLOSING}
"""Which state a state comes after."""
HIGHEST_TEST_ID = 99_999

_TEST_ID = re.compile(rb'"test_id":\s*(\d{1,5})\b')


@register_error
class ObservationError(Exception):
    """A request that the state of the observations does not allow."""


class ObservationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of one observation.

    Attributes:
        info: what was known at its start.
        state: open, closing or closed.
        status: how it ended, empty while it is open.
        reason: why it ended so, for people.
        end: UTC time of its end.
        manifest_sha256: checksum of the manifest; empty until it is closed.
        message: what a person should know about a start or end that is not through yet.
    """

    info: ObservationInfo
    state: str = OPEN
    status: str = ""
    reason: str = ""
    end: str = ""
    manifest_sha256: str = ""
    message: str = ""

    def as_dict(self, site_folder: Path) -> dict[str, Any]:
        """Returns the record as clients see it.

        Args:
            site_folder: data folder of the site, for the path of the observation's folder.
        """
        fields: dict[str, Any] = msgspec.to_builtins(self.info)
        own = {name: getattr(self, name) for name in self.__struct_fields__ if name != "info"}
        return {
            **fields,
            **own,
            "obsid": self.info.obsid,
            "prefix": self.info.prefix,
            "folder": str(site_folder / "obs" / self.info.prefix),
        }


def read_records(path: Path) -> tuple[dict[str, ObservationRecord], list[str]]:
    """Replays a record file.

    Args:
        path: the file; may be missing.

    Returns:
        The observations by run id, oldest first, and what is wrong with the file.
    """
    records: dict[str, ObservationRecord] = {}
    problems = []
    for number, line in read_lines(path):
        try:
            apply_line(records, decode_line(line))
        except (DamagedRecordError, msgspec.MsgspecError, KeyError) as exc:
            problems.append(f"{path.name}, line {number}: {exc}")
    return records, problems


def apply_line(records: dict[str, ObservationRecord], fields: dict[str, Any]) -> None:
    """Brings observations, by run id, up to date with one line of the record.

    Raises:
        DamagedRecordError: when the line does not follow from what came before.
        KeyError: when it lacks something, or concerns a run that is not among `records`.
        msgspec.ValidationError: when it holds something else than an observation.
    """
    kind = fields["rec"]
    run_id = fields["run_id"]
    if kind == OPEN:
        info = msgspec.convert(fields["info"], ObservationInfo)
        records.setdefault(run_id, ObservationRecord(info=info))
        return
    record = records[run_id]
    if record.state != FOLLOWS[kind]:
        raise DamagedRecordError(f"{kind!r} of {run_id} after {record.state!r}")
    changes = {
        name: fields[name] for name in ("status", "reason", "end", "manifest_sha256") if name in fields
    }
    records[run_id] = msgspec.structs.replace(record, state=kind, **changes)


class ObservationBook:
    """The record of a site, with the right to write it.

    Args:
        site_folder: data folder of the site.
    """

    def __init__(self, site_folder: Path) -> None:
        self.site_folder = site_folder
        self.path = site_folder / RECORD_FILE
        self._file = RecordFile(self.path)
        self._records, self.problems = read_records(self.path)
        for problem in self.problems:
            LOGGER.error("the record of observations is damaged: %s", problem)
        self._highest = _highest_test_id(site_folder)
        # Replaced as a whole, so that other threads can look without a lock.
        self._current = next((r for r in reversed(self._records.values()) if r.state != CLOSED), None)

    @property
    def current(self) -> ObservationRecord | None:
        """The observation that is open or closing."""
        return self._current

    @property
    def records(self) -> list[ObservationRecord]:
        """All observations, oldest first."""
        return list(self._records.values())

    def find(self, run_id: str) -> ObservationRecord | None:
        """Returns the observation of a run, None when there is none."""
        return self._records.get(run_id)

    def next_test_id(self) -> int:
        """Returns the test id that the next observation gets.

        Raises:
            ObservationError: when all five-digit numbers are used.
        """
        if self._highest >= HIGHEST_TEST_ID:
            raise ObservationError(f"all test ids up to {HIGHEST_TEST_ID} are used at this site")
        return self._highest + 1

    def last_link(self) -> Link | None:
        """Returns what the next observation says about the one before it; None when it is the first."""
        last = next(reversed(self._records.values()), None)
        return None if last is None else Link(last.info.obsid, last.manifest_sha256)

    def open(self, info: ObservationInfo) -> ObservationRecord:
        """Allocates the test id of `info`, which must come from `next_test_id`."""
        if info.test_id <= self._highest:
            raise ObservationError(f"test id {info.test_id:05d} was used before")
        fail_point("cm.start.before_record")
        self._file.append({"rec": OPEN, "run_id": info.run_id, "info": msgspec.to_builtins(info)})
        fail_point("cm.start.after_record")
        self._highest = info.test_id
        return self._keep(ObservationRecord(info=info))

    def closing(self, record: ObservationRecord, status: str, reason: str, end: str) -> ObservationRecord:
        """Fixes how an open observation ended.

        Args:
            record: the open observation.
            status: one of `STATUSES`.
            reason: why, for people.
            end: UTC time as text.

        Raises:
            ObservationError: for an unknown status.
        """
        if status not in STATUSES:
            raise ObservationError(f"{status!r} is no status of an observation; use {', '.join(STATUSES)}")
        fail_point("cm.end.before_closing")
        self._append(record, CLOSING, status=status, reason=reason, end=end)
        fail_point("cm.end.after_closing")
        changes = {"state": CLOSING, "status": status, "reason": reason, "end": end}
        return self._keep(msgspec.structs.replace(record, **changes))

    def closed(self, record: ObservationRecord, manifest_sha256: str) -> ObservationRecord:
        """Records that the folder of a closing observation is sealed; `manifest_sha256` is empty when it is not."""
        self._append(record, CLOSED, manifest_sha256=manifest_sha256)
        fail_point("cm.end.after_closed")
        return self._keep(
            msgspec.structs.replace(record, state=CLOSED, manifest_sha256=manifest_sha256, message="")
        )

    def _append(self, record: ObservationRecord, kind: str, **fields: str) -> None:
        if record.state != FOLLOWS[kind]:
            raise ObservationError(
                f"observation {record.info.obsid} is {record.state}, it cannot become {kind}"
            )
        self._file.append({"rec": kind, "run_id": record.info.run_id, "obsid": record.info.obsid, **fields})

    def _keep(self, record: ObservationRecord) -> ObservationRecord:
        self._records[record.info.run_id] = record
        self._current = None if record.state == CLOSED else record
        return record


def _highest_test_id(site_folder: Path) -> int:
    """Returns the highest test id of which there is any trace: valid or damaged records, folders, the obsid table."""
    numbers = [0]
    for _, line in read_lines(site_folder / RECORD_FILE):
        try:
            numbers.append(int(decode_line(line).get("info", {}).get("test_id", 0)))
        except (DamagedRecordError, AttributeError, ValueError, TypeError):
            numbers += [int(match) for match in _TEST_ID.findall(line)]
    for path in (site_folder / "obs").glob("[0-9][0-9][0-9][0-9][0-9]_*"):
        numbers.append(int(path.name[:5]))
    table = site_folder / OBSID_TABLE
    if table.exists():
        for text in table.read_text(encoding="utf-8", errors="replace").splitlines():
            if re.match(r"\d{5} ", text):
                numbers.append(int(text[:5]))
    return max(numbers)
