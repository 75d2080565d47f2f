"""What the log says about the time of an observation, taken into its folder when it is sealed."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from egse.logger.reading import LogFolder, RecordFilter
from egse.logger.records import LogMessage
from egse.system import str_to_datetime

LOGGER = logging.getLogger(__name__)

MOST_RECORDS = 20_000
"""So many records are taken at most, the last ones."""
PATIENCE = 2_000
"""So many records in a row from before the start end the search."""


def extract_log(folder: Path, obsid: str, start: str) -> bytes:
    """Returns the log records since the start of an observation, one JSON object per line.

    Records of this observation of all levels, and those of all other work from INFO on. What processes deliver after
    the seal is not in it.

    Args:
        folder: folder of the log.
        obsid: full obsid.
        start: UTC time of the start of the observation.
    """
    since = f"{str_to_datetime(start):%Y-%m-%dT%H:%M:%S.%f}Z"
    try:
        records = LogFolder(folder).last(RecordFilter(since=since), MOST_RECORDS, patience=PATIENCE)
    except OSError as exc:
        LOGGER.info("observation %s gets no extract of the log: %s", obsid, exc)
        return b""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records if _belongs(record, obsid))


def _belongs(record: LogMessage, obsid: str) -> bool:
    return record.obsid == obsid or record.levelno >= logging.INFO
