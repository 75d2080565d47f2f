"""Checks raw files against the ICD: structure, packets, CRCs, timecodes, observation; `check_hdf5_files` is also a command.

An *error* is what the ICD rules out or what has been lost or spoiled; a *warning* is what may be right (a file without an observation,
a frame that has no housekeeping because the FEE was silent).

Source: ICD of the storage formats, section 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from egse.h5.names import (
    DATA_ATTRIBUTES,
    FORMAT_VERSION,
    HK_DATA_LENGTH,
    HK_PACKET_LENGTH,
    PACKED_VERSION,
    REGISTER_LENGTH,
    parse_file_name,
)
from egse.h5.packed import format_version
from egse.h5.reader import (
    frame_numbers,
    get_attribute_value,
    get_attributes,
    get_file,
    get_obsid,
    get_timestamp,
    packet_gaps,
    packet_headers,
    packet_verdicts,
    suspect_items,
    suspect_packets,
)
from egse.h5.table import data_packets
from egse.rmap import RMAPError, decode_command

ERROR, WARNING = "error", "warning"
TIMECODES = 64

_OBSID = re.compile(r"[A-Z0-9]+_\d{5}_\d{5}")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        level: "error" or "warning".
        where: path of the item in the file, "/" for the file as a whole.
        what: one sentence.
    """

    level: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.what}"


@dataclass
class FrameReport:
    """What one frame holds.

    Attributes:
        number: frame number.
        timecode: 0..63, None without one.
        timestamp: reception of the timecode, UTC text; empty without one.
        packets: data and overscan packets.
        bad: packets whose header, length or CRC is wrong, or that did not fit into their readout on arrival.
        lost: packets that did not arrive.
        size: bytes in the packets.
        attributes: register fields.
    """

    number: int
    timecode: int | None = None
    timestamp: str = ""
    packets: int = 0
    bad: int = 0
    lost: int = 0
    size: int = 0
    attributes: dict[str, int] = field(default_factory=dict)


@dataclass
class FileReport:
    """What one raw file holds, and what is wrong with it.

    Attributes:
        path: the file.
        version: format, such as "2.6"; empty when the file cannot be read.
        obsid: full obsid, empty when no observation was running.
        frames: in order.
        findings: in the order of the file.
    """

    path: Path
    version: str = ""
    obsid: str = ""
    frames: list[FrameReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True when there is no error."""
        return not any(finding.level == ERROR for finding in self.findings)

    def error(self, where: str, what: str) -> None:
        """Adds an error."""
        self.findings.append(Finding(ERROR, where, what))

    def warning(self, where: str, what: str) -> None:
        """Adds a warning."""
        self.findings.append(Finding(WARNING, where, what))


def check_hdf5_files(paths: Iterable[Path]) -> list[FileReport]:
    """Checks raw files, each by itself and one after the other.

    Args:
        paths: files, or folders whose raw files (`*.hdf5`, not those still being written) are taken.

    Returns:
        A report for every file, in the order of their names.
    """
    files = sorted({file for path in paths for file in _files(path)}, key=lambda path: (path.name, path))
    reports = [check_hdf5_file(path) for path in files]
    _check_sequence(reports)
    return reports


def _files(path: Path) -> Sequence[Path]:
    return sorted(path.rglob("*.hdf5")) if path.is_dir() else [path]


def check_hdf5_file(path: Path) -> FileReport:
    """Checks one raw file.

    Args:
        path: the file; one that cannot be read gives an error in the report.
    """
    report = FileReport(path)
    if parse_file_name(path.name) is None:
        report.warning("/", "the name is not YYYYMMDD_SITE_N-FEE_SPW_NNNNN.hdf5")
    try:
        with get_file(path) as file:
            _check_cycle(file, report)
            for number in frame_numbers(file):
                report.frames.append(_check_frame(file, number, report))
    except (OSError, RuntimeError) as exc:  # h5py raises RuntimeError for damage inside a file
        report.error("/", f"cannot be read: {exc}")
    _check_timecodes([(report, frame) for frame in report.frames])
    return report


# -- the cycle ----------------------------------------------------------------------------------------------------------


def _check_cycle(file: h5py.File, report: FileReport) -> None:
    version = format_version(file)
    report.version = "{}.{}".format(*version)
    if version > FORMAT_VERSION and version != PACKED_VERSION:
        report.error("/versions/format_version", f"format {report.version} is not known here")
    _check_obsid(file, report)
    for name, attributes in (("dpu", ("num_cycles", "slicing_num_cycles")), ("fee", ("type",))):
        if name not in file:
            report.error(f"/{name}", "is not there")
            continue
        for attribute in attributes:
            if attribute not in file[name].attrs:
                report.error(f"/{name}", f"has no attribute {attribute}")
    _check_array(file, "register", REGISTER_LENGTH, report)
    frames = frame_numbers(file)
    if not frames:
        report.error("/", "holds no frame")
    elif frames != list(range(len(frames))) or len(frames) > 4:
        report.error("/", f"frames are {frames}, not 0, 1, 2, 3")
    else:
        internal = bool(get_attributes(file, frames[0]).get("sync_sel"))
        expected = 1 if internal else 4
        if len(frames) != expected:
            sync = "internal" if internal else "external"
            report.error("/", f"holds {len(frames)} frames, not {expected} as in {sync} synchronisation")


def _check_obsid(file: h5py.File, report: FileReport) -> None:
    if "obsid" not in file:
        report.error("/obsid", "is not there")
        return
    report.obsid = get_obsid(file)
    if not report.obsid:
        report.warning("/obsid", "is empty: no observation was running")
        return
    if not _OBSID.fullmatch(report.obsid):
        report.error("/obsid", f"{report.obsid!r} is not SITE_SETUP_TEST")


def _check_array(
    group: h5py.Group, name: str, length: int, report: FileReport, missing: str = "error"
) -> bool:
    """Checks that a uint8 array of a certain length is there."""
    where = f"{group.name.rstrip('/')}/{name}"
    if name not in group:
        report.findings.append(Finding(missing, where, "is not there"))
        return False
    item = group[name]
    if item.dtype != np.uint8 or item.shape != (length,):
        report.error(where, f"is {item.dtype} {item.shape}, not uint8 ({length},)")
        return False
    return True


# -- a frame ------------------------------------------------------------------------------------------------------------


def _check_frame(file: h5py.File, number: int, report: FileReport) -> FrameReport:
    frame = FrameReport(number)
    group = file[str(number)]
    _check_timecode(file, frame, report)
    if _check_array(group, "hk", HK_PACKET_LENGTH, report, WARNING) and bytes(group["hk"][:2]) != b"\x50\xf0":
        report.error(f"/{number}/hk", "is no packet of the FEE (address 0x50, protocol 0xF0)")
    _check_array(group, "hk_data", HK_DATA_LENGTH, report, WARNING)
    if "data" in group:
        _check_data(file, frame, report)
    else:
        report.error(f"/{number}/data", "is not there")
    if "commands" in group:
        for name, command in group["commands"].items():
            _check_command(f"/{number}/commands/{name}", command, report)
    return frame


def _check_timecode(file: h5py.File, frame: FrameReport, report: FileReport) -> None:
    where = f"/{frame.number}/timecode"
    if where not in file:
        report.error(where, "is not there")
        return
    item = file[where]
    if item.shape != () or item.dtype != np.int64 or not 0 <= int(item[()]) < TIMECODES:
        report.error(where, "is not an int64 from 0 to 63")
        return
    frame.timecode = int(item[()])
    try:
        get_timestamp(file, frame.number)
        frame.timestamp = str(get_attribute_value(item, "timestamp"))
    except (KeyError, ValueError) as exc:
        report.error(where, f"has no time of reception: {exc.args[0]}")


def _check_data(file: h5py.File, frame: FrameReport, report: FileReport) -> None:
    where = f"/{frame.number}/data"
    frame.attributes = get_attributes(file, frame.number)
    lacking = [name for name in DATA_ATTRIBUTES if name not in frame.attributes]
    if lacking:
        report.error(where, f"has no attributes {', '.join(lacking)}")
    try:
        table = packet_headers(file, frame.number)
        good = packet_verdicts(file, frame.number)
        gaps = packet_gaps(file, frame.number)
    except (KeyError, ValueError) as exc:
        report.error(where, f"packets cannot be read: {exc}")
        return
    frame.packets, frame.size = len(table), int(table["size"].sum())
    frame.bad, frame.lost = int((~good).sum()), int(gaps["count"].sum())
    suspects = suspect_packets(file, frame.number)
    spoiled = np.flatnonzero(~good & ~(np.isin(np.arange(good.size), suspects) & (table["valid"] != 0)))
    if spoiled.size:
        which = _some(spoiled.tolist())
        report.error(where, f"{spoiled.size} packets are spoiled (header, length or CRC): {which}")
    if suspects:
        which = _some(suspects)
        report.error(where, f"{len(suspects)} packets did not fit into their readout on arrival: {which}")
    for item in suspect_items(file, frame.number):
        report.error(f"/{frame.number}/{item}", "did not fit on arrival")
    for gap in gaps:
        last = gap["first"] + gap["count"] - 1
        report.error(where, f"{gap['count']} packets are missing: sequence counter {gap['first']} to {last}")
    _check_order(table, where, frame, report)


def _check_order(table: Any, where: str, frame: FrameReport, report: FileReport) -> None:
    good = data_packets(table)
    steps = np.diff(good["sequence_counter"].astype(np.int64))
    if (steps <= 0).any():
        report.error(where, f"{int((steps <= 0).sum())} packets are repeated or out of order")
    for name in ("frame_counter", "ccd_number"):
        if len(set(good[name].tolist())) > 1:
            report.error(
                where, f"packets of several readouts are mixed: {name} is {sorted(set(good[name].tolist()))}"
            )
    others = set(good["frame_number"].tolist()) - {frame.number}
    if others:
        report.error(where, f"packets say frame {_some(sorted(others))}")
    mode = frame.attributes.get("ccd_mode_config")
    if mode is not None and set(good["mode"].tolist()) - {mode}:
        report.warning(
            where, f"packets say mode {_some(sorted(set(good['mode'].tolist())))}, the register {mode}"
        )


def _check_command(where: str, command: Any, report: FileReport) -> None:
    if not isinstance(command, h5py.Dataset) or command.dtype != np.uint8:
        report.warning(where, "is no RMAP request as this software stores them")
        return
    try:
        if not decode_command(command[()].tobytes()).data_crc_ok:
            report.error(where, "has a wrong data CRC")
    except RMAPError as exc:
        report.error(where, f"is no good RMAP request: {exc}")


def _some(values: list[int], most: int = 8) -> str:
    text = ", ".join(map(str, values[:most]))
    return text if len(values) <= most else f"{text}, ... ({len(values)})"


# -- several files ------------------------------------------------------------------------------------------------------


def _check_timecodes(frames: Sequence[tuple[FileReport, FrameReport]]) -> None:
    """Checks that timecodes follow each other; finds fault with the frame that does not."""
    before: FrameReport | None = None
    for report, frame in frames:
        if before is not None and None not in (before.timecode, frame.timecode):
            expected = (int(before.timecode or 0) + 1) % TIMECODES
            if frame.timecode != expected:
                report.error(
                    f"/{frame.number}/timecode",
                    f"is {frame.timecode}, {expected} should follow {before.timecode}",
                )
        before = frame


def _check_sequence(reports: Sequence[FileReport]) -> None:
    for before, report in pairwise(reports):
        one, two = parse_file_name(before.path.name), parse_file_name(report.path.name)
        if one is None or two is None or one[:2] != two[:2]:
            continue
        if two[2] > one[2] + 1:
            report.warning("/", f"files {one[2] + 1} to {two[2] - 1} of this day are not here")
        elif two[2] == one[2] + 1 and before.frames and report.frames:
            _check_timecodes([(before, before.frames[-1]), (report, report.frames[0])])
