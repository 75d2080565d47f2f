"""Names and numbers of the HDF5 files: paths, format versions, the attributes of a frame.

Source: ICD of the storage formats, sections 2, 5 and 8 (format 2.6); format 3.0 is ours (docs/files.md).
"""

from __future__ import annotations

import os
from pathlib import Path

from egse.storage.naming import parse_filename, utc_day

FORMAT_VERSION = (2, 6)
"""Major and minor number of the layout that is written unless another is asked for: that of the ICD."""

PACKED_VERSION = (3, 0)
"""The layout with the packets of a frame in one array."""

FORMAT_VERSIONS = (FORMAT_VERSION, PACKED_VERSION)
"""The layouts that can be written."""

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

SUSPECT_PACKETS = "suspect_packets"
"""Attribute of `/N/data` that is there when packets did not fit into their readout: their numbers, see `egse.dpu.integrity`."""

SUSPECT_ITEMS = "suspect_items"
"""Attribute of `/N/data` that is there when other items of the frame did not fit on arrival: names out of `timecode` and `hk`."""

SPOILED_PACKETS = "spoiled_packets"
"""Attribute of `/N/data` of a file of format 2.6 that was converted from 3.0: numbers of the packets that were not any more what had
been received, by their CRC-32."""

SPOILED_CRCS = "spoiled_crcs"
"""Attribute beside it: the CRC-32 of these packets as they had been received."""

HK_PACKET_LENGTH = 154
HK_DATA_LENGTH = 144
REGISTER_LENGTH = 2048

_MNEMONICS = (MNEMONIC, "F-FEE_SPW")


def parse_format(text: str | float) -> tuple[int, int]:
    """Returns major and minor number of a layout that can be written.

    Args:
        text: "2.6" or "3.0", also as a number.

    Raises:
        ValueError: for any other.
    """
    for version in FORMAT_VERSIONS:
        if str(text).strip() == "{}.{}".format(*version):
            return version
    known = ", ".join("{}.{}".format(*version) for version in FORMAT_VERSIONS)
    raise ValueError(f"HDF5 format {text!r} cannot be written; the formats are: {known}")


def file_name(timestamp: float, site: str, number: int, mnemonic: str = MNEMONIC) -> str:
    """Returns the name of the raw file of one cycle: `YYYYMMDD_SITE_N-FEE_SPW_NNNNN.hdf5`.

    Args:
        timestamp: start of the cycle, Unix time [s]; its UTC day is the first part of the name.
        site: site id.
        number: running number of the day, 1..99999.
        mnemonic: storage mnemonic.
    """
    return f"{utc_day(timestamp)}_{site}_{mnemonic}_{number:05d}.hdf5"


def daily_path(root: Path, name: str) -> Path:
    """Returns where the raw file `name` belongs below the site's data folder `root`: `daily/YYYYMMDD/NAME`."""
    return root / "daily" / name[:8] / name


def parse_file_name(name: str) -> tuple[str, str, int] | None:
    """Takes the name of a raw file apart.

    Returns:
        Day (YYYYMMDD), site id and running number, or None when it is not the name of a raw file.
    """
    try:
        parsed = parse_filename(name)
    except ValueError:
        return None
    if parsed.mnemonic not in _MNEMONICS or parsed.extension != "hdf5" or parsed.number is None:
        return None
    return parsed.date or "", parsed.site_id or "", parsed.number


def highest_number(folder: Path) -> int:
    """Returns the highest running number used in a daily folder (finished and unfinished files), 0 when there is none."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    stems = (name.removesuffix(".part") for name in names)
    return max((parsed[2] for parsed in map(parse_file_name, stems) if parsed), default=0)
