"""Names and numbers of the HDF5 files: paths, format version, the attributes of a frame.

Source: ICD of the storage formats, sections 2, 5 and 8 (format 2.6).
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

FORMAT_VERSION = (2, 6)
"""Major and minor number of the layout that is written."""

MNEMONIC = "N-FEE_SPW"
"""Storage mnemonic of the raw camera data."""

DATA_ATTRIBUTES = (
    "DG_en",
    "ccd_mode_config",
    "ccd_read_en",
    "ccd_readout_order",
    "digitise_en",
    "h_end",
    "int_sync_period",
    "n_final_dump",
    "sensor_sel",
    "sync_sel",
    "v_end",
    "v_start",
)
"""Register fields stored with the data of every frame, as in effect for its readout."""

HK_PACKET_LENGTH = 154
HK_DATA_LENGTH = 144
REGISTER_LENGTH = 2048

_FILE_NAME = re.compile(
    r"^(?P<day>\d{8})_(?P<site>.+)_(?P<mnemonic>N-FEE_SPW|F-FEE_SPW)_(?P<number>\d{5})\.hdf5$"
)


def format_utc(timestamp: float) -> str:
    """Formats a Unix time [s] as all files do: `YYYY-mm-ddTHH:MM:SS.mmm+0000`."""
    when = datetime.fromtimestamp(timestamp, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}+0000"


def parse_utc(text: str) -> float:
    """Reads a time written by `format_utc`.

    Returns:
        Unix time [s].

    Raises:
        ValueError: when the text is not such a time.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def file_name(timestamp: float, site: str, number: int, mnemonic: str = MNEMONIC) -> str:
    """Returns the name of the raw file of one cycle: `YYYYMMDD_SITE_N-FEE_SPW_NNNNN.hdf5`.

    Args:
        timestamp: start of the cycle, Unix time [s]; its UTC day is the first part of the name.
        site: site id.
        number: running number of the day, 1..99999.
        mnemonic: storage mnemonic.
    """
    day = datetime.fromtimestamp(timestamp, UTC).strftime("%Y%m%d")
    return f"{day}_{site}_{mnemonic}_{number:05d}.hdf5"


def daily_path(root: Path, name: str) -> Path:
    """Returns where the raw file `name` belongs below the site's data folder `root`: `daily/YYYYMMDD/NAME`."""
    return root / "daily" / name[:8] / name


def parse_file_name(name: str) -> tuple[str, str, int] | None:
    """Takes the name of a raw file apart.

    Returns:
        Day (YYYYMMDD), site id and running number, or None when it is not the name of a raw file.
    """
    match = _FILE_NAME.match(name)
    return (match["day"], match["site"], int(match["number"])) if match else None


def highest_number(folder: Path) -> int:
    """Returns the highest running number used in a daily folder (finished and unfinished files), 0 when there is none."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    stems = (name.removesuffix(".part") for name in names)
    return max((parsed[2] for parsed in map(parse_file_name, stems) if parsed), default=0)
