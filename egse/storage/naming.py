"""Names of observations, of their folders and of the files in the archive (storage ICD, sections 3 to 5).

Three generations of names exist on disk and all of them are understood; only the newest, `TTTTT_SITE_camera`, is made.
The full obsid inside files and messages is ordered `SITE_SETUP_TEST`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from egse.system import format_datetime, from_unix_time

LAST_SETUP_ID = "last_setup_id.txt"
"""File in the data folder of the site with the id of the loaded Setup, written by the configuration manager."""
OBSID_TABLE = "obsid-table.txt"
"""File in the data folder of the site with one line for each started observation."""

TEST_ID = r"(?P<test>\d{5})"
SITE_ID = r"(?P<site>[A-Za-z0-9][A-Za-z0-9-]*)"
SETUP_ID = r"(?P<setup>\d{5})"
CAMERA = r"(?P<camera>[a-z][a-z0-9-]*|EM|P?FM[0-9]*)"
MNEMONIC = r"(?P<mnemonic>[A-Za-z][A-Za-z0-9-]*(?:_[A-Z]+)?)"

_FULL = re.compile(rf"{SITE_ID}_{SETUP_ID}_{TEST_ID}")
_OLDEST = re.compile(rf"{TEST_ID}_{SITE_ID}_{SETUP_ID}")
_SHORT = re.compile(rf"{TEST_ID}_{SITE_ID}")
_CAMERA = re.compile(rf"{TEST_ID}_{SITE_ID}_{CAMERA}")
_NUMBER = re.compile(r"\d{1,5}")

_TIMED = re.compile(rf"{MNEMONIC}_(?P<date>\d{{8}})_(?P<time>\d{{6}})\.(?P<extension>\w+)")
_CUBE = re.compile(
    rf"{MNEMONIC}_(?P<number>\d{{5}})_(?P<date>\d{{8}})_(?P<kind>cube|images)\.(?P<extension>fits)"
)
_DAILY = re.compile(rf"(?P<date>\d{{8}})_{SITE_ID}_{MNEMONIC}(?:_(?P<number>\d{{5}}))?\.(?P<extension>\w+)")
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True, slots=True)
class ObservationName:
    """What the name of an observation says; parts that a generation of names leaves out are None.

    Attributes:
        test_id: number of the observation at its site.
        site_id: test house, e.g. `CSL1`.
        setup_id: active Setup.
        camera: name of the camera, e.g. `chimay`.
    """

    test_id: int
    site_id: str | None = None
    setup_id: int | None = None
    camera: str | None = None

    @property
    def test(self) -> str:
        """The test id with its five digits."""
        return f"{self.test_id:05d}"

    @property
    def prefix(self) -> str:
        """Name of the folder and start of all file names, `TTTTT_SITE_camera` (`TTTTT_SITE` without a camera)."""
        parts = [self.test, self.site_id or "", self.camera or ""]
        return "_".join(part for part in parts if part)

    @property
    def obsid(self) -> str:
        """Full obsid, `SITE_SETUP_TEST`.

        Raises:
            ValueError: when the name does not tell site and Setup.
        """
        if self.site_id is None or self.setup_id is None:
            raise ValueError(f"{self.prefix} does not tell the full obsid")
        return f"{self.site_id}_{self.setup_id:05d}_{self.test}"


def _from_match(match: re.Match[str]) -> ObservationName:
    groups = match.groupdict()
    setup = groups.get("setup")
    return ObservationName(
        int(groups["test"]), groups["site"], int(setup) if setup else None, groups.get("camera")
    )


def parse_prefix(text: str) -> ObservationName:
    """Reads the name of an observation folder, or the prefix of its files.

    Args:
        text: `00757_CSL_00009`, `00299_IAS` or `01151_CSL1_chimay`.

    Raises:
        ValueError: for any other text.
    """
    for pattern in (_OLDEST, _SHORT, _CAMERA):
        if match := pattern.fullmatch(text):
            return _from_match(match)
    raise ValueError(f"{text!r} is no observation name (TTTTT_SITE_camera, TTTTT_SITE or TTTTT_SITE_SETUP)")


def parse_obsid(obsid: int | str) -> ObservationName:
    """Reads an obsid in any form in use: 1151, "1151", "01151", "01151_CSL1", "CSL1_00084_01151", a prefix.

    Raises:
        ValueError: when it is none of these.
    """
    if isinstance(obsid, int) and not isinstance(obsid, bool):
        if 0 <= obsid <= 99999:
            return ObservationName(obsid)
        raise ValueError(f"test id {obsid} is outside 0..99999")
    text = str(obsid).strip()
    if _NUMBER.fullmatch(text):
        return ObservationName(int(text))
    if match := _FULL.fullmatch(text):
        return _from_match(match)
    return parse_prefix(text)


def camera_name(camera_id: object) -> str | None:
    """Returns the camera's name as it appears in names of observations, from `setup.camera.ID`.

    Lower case, as the names on disk, except for the models `EM`, `FM` and `PFM`; None when the Setup has none.
    """
    text = re.sub(r"[^A-Za-z0-9-]+", "-", str(camera_id or "")).strip("-")
    if re.fullmatch(r"EM|P?FM[0-9]*", text):
        return text
    text = text.lower()
    if not text:
        return None
    return text if text[0].isalpha() else f"c{text}"


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a file in the archive says.

    Attributes:
        mnemonic: storage mnemonic of the producer.
        extension: without the dot.
        date: `YYYYMMDD`, None when the name has none.
        time: `HHMMSS`, UTC start of the observation.
        number: running number of HDF5 and FITS files.
        kind: `cube` or `images` for FITS files.
        observation: the observation it belongs to, None for a file in `daily/`.
        site_id: the site of a daily file.
    """

    mnemonic: str
    extension: str
    date: str | None = None
    time: str | None = None
    number: int | None = None
    kind: str | None = None
    observation: ObservationName | None = None
    site_id: str | None = None


def _file_name(match: re.Match[str], observation: ObservationName | None) -> FileName:
    groups = match.groupdict()
    number = groups.get("number")
    return FileName(
        mnemonic=groups["mnemonic"],
        extension=groups["extension"],
        date=groups.get("date"),
        time=groups.get("time"),
        number=int(number) if number else None,
        kind=groups.get("kind"),
        observation=observation,
        site_id=groups.get("site"),
    )


def parse_filename(name: str) -> FileName:
    """Reads the name of a housekeeping, raw-data or FITS file of any generation.

    Args:
        name: file name without folder, e.g. `01151_CSL1_chimay_DPU_20230620_095819.csv` or `20230608_CSL_PUNA.csv`.

    Raises:
        ValueError: when it follows none of the patterns of the storage ICD, section 5.
    """
    if match := _DAILY.fullmatch(name):
        return _file_name(match, None)
    for pattern in (_OLDEST, _CAMERA, _SHORT):
        head = pattern.match(name)
        if head is None or not name.startswith("_", head.end()):
            continue
        rest = name[head.end() + 1 :]
        if match := _TIMED.fullmatch(rest) or _CUBE.fullmatch(rest):
            return _file_name(match, _from_match(head))
    raise ValueError(f"{name!r} follows no pattern of the archive's file names")


def check_name(name: str) -> str:
    """Returns `name` when it can safely name a file in a folder: letters, digits and `._+-`, no path.

    Raises:
        ValueError: otherwise.
    """
    if not _SAFE_NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{name!r} is no valid file name: letters, digits and . _ + - only, starting with a letter or a digit"
        )
    return name


def check_mnemonic(name: str) -> str:
    """Returns `name` when it is a valid storage mnemonic (`PUNA`, `N-FEE_SPW`, `DUMMY-HK`, `obsid`).

    Raises:
        ValueError: otherwise.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise ValueError(f"{name!r} is no storage mnemonic: letters, digits, - and _ only, at most 64")
    return name


def utc_text(timestamp: float) -> str:
    """Returns Unix time [s] as in all records: `2023-06-20T09:58:19.042+0000` (cut off at 1 ms)."""
    return format_datetime(from_unix_time(timestamp))


def utc_day(timestamp: float) -> str:
    """Returns the UTC day of a Unix time [s] as `YYYYMMDD`."""
    return f"{from_unix_time(timestamp):%Y%m%d}"
