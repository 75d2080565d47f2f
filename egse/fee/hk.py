"""Housekeeping of the N-FEE: 144 bytes, in the packet after each timecode and in the memory area read by RMAP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from egse.rmap import HK_AREA_SIZE
from egse.spw import HEADER_SIZE, HK_PACKET_SIZE
from egse.yamlfile import YAMLFileError, read_yaml

_FOLDER: Final = Path(__file__).resolve().parent.parent / "data" / "common" / "n-fee"

HK_MAP_FILES: Final[dict[str, Path]] = {
    "em": _FOLDER / "n_fee_hk_em_v2.yaml",
    "pfm": _FOLDER / "n_fee_hk_pfm_v1.yaml",
    "fm": _FOLDER / "n_fee_hk_fm_v1.yaml",
}
"""The housekeeping maps that come with the package, by camera model."""

PREFIX: Final = "NFEE_"
"""Prefix of the names of N-FEE housekeeping in tables."""

CONFORM: Final = {"TSENSE_A": "TSENSEA", "TSENSE_B": "TSENSEB", "FRAME_COUNTER": "FRAMECOUNTER"}
"""EGSE-conform names, without prefix, where they are not those of the map: they are names of metrics too, and Prometheus reads
`_B` as a unit and `COUNTER` as a type."""

ERROR_FLAGS: Final = (
    "window x-coordinate outside CCD",
    "window y-coordinate outside CCD",
    "E-side SRAM buffer full (image corrupt)",
    "F-side SRAM buffer full (image corrupt)",
    "too many overlapping windows",
    "SRAM EDAC correctable",
    "SRAM EDAC uncorrectable",
    "link disconnect",
    "link escape",
    "link credit",
    "link parity",
    "PLL lock lost, sync problem",
)
"""Meaning of the bits of the error flags, bit 0 first (one of two listings; the other shifts bits 7 to 11 up by one)."""


class HKMapError(ValueError):
    """A housekeeping map is not valid, or data do not fit it."""


@dataclass(frozen=True, slots=True)
class HKField:
    """A housekeeping value.

    Attributes:
        name: EGSE-conform name.
        original: name in the map.
        offset: first byte.
        size: 2 or 4 bytes, big-endian.
        shift: lowest bit.
        mask: bits, not shifted.
    """

    name: str
    original: str
    offset: int
    size: int
    shift: int
    mask: int


@dataclass(frozen=True, slots=True)
class HKMap:
    """A housekeeping map file, checked.

    Attributes:
        name: name of the map.
        size: size of the housekeeping [bytes].
        fields: the values by name.
    """

    name: str
    size: int
    fields: dict[str, HKField]

    def encode(self, values: Mapping[str, int], base: bytes | None = None) -> bytes:
        """Returns housekeeping with the given values.

        Args:
            values: raw values by EGSE-conform name.
            base: housekeeping that holds the others; zeros when not given.

        Raises:
            KeyError: when there is no such value.
            HKMapError: when one does not fit.
        """
        data = bytearray(base if base is not None else self.size)
        for name, value in values.items():
            field = self.fields[name]
            if not 0 <= value <= field.mask:
                raise HKMapError(f"{name} takes 0 to {field.mask}, got {value}")
            end = field.offset + field.size
            word = int.from_bytes(data[field.offset : end], "big") & ~(field.mask << field.shift)
            data[field.offset : end] = (word | value << field.shift).to_bytes(field.size, "big")
        return bytes(data)


def load_hk_map(source: Mapping[str, Any] | Path | str = "fm") -> HKMap:
    """Reads a housekeeping map.

    Args:
        source: the content of a map file (as a Setup that includes one holds it), the path of a file, or "em", "pfm",
            "fm" for the maps of this package.

    Raises:
        HKMapError: when it cannot be read or is not valid.
    """
    if isinstance(source, Mapping):
        return _hk_map(source)
    return _load_file(HK_MAP_FILES.get(str(source).lower(), Path(source)))


def decode_hk(data: bytes | bytearray | memoryview, hk_map: HKMap | None = None) -> dict[str, int]:
    """Decodes housekeeping into raw values.

    Args:
        data: the 144 bytes of the memory area (`/N/hk_data`), or the whole packet of 154 bytes (`/N/hk`).
        hk_map: the map of the camera; that of the flight models when not given.

    Returns:
        Raw values by name, among them NFEE_FRAMECOUNTER, NFEE_SPW_TIMECODE, NFEE_OP_MODE, NFEE_FRAME_NUMBER and
        NFEE_ERROR_FLAGS.

    Raises:
        HKMapError: when the data have another size.
    """
    hk_map = hk_map or load_hk_map()
    payload = bytes(data)
    if len(payload) == HK_PACKET_SIZE:
        payload = payload[HEADER_SIZE:]
    if len(payload) != hk_map.size:
        raise HKMapError(f"housekeeping has {hk_map.size} bytes, got {len(data)}")
    return {
        name: (int.from_bytes(payload[field.offset : field.offset + field.size], "big") >> field.shift)
        & field.mask
        for name, field in hk_map.fields.items()
    }


def error_flag_names(error_flags: int) -> list[str]:
    """Returns what the bits set in the error flags mean."""
    return [
        ERROR_FLAGS[bit] if bit < len(ERROR_FLAGS) else f"bit {bit}"
        for bit in range(error_flags.bit_length())
        if error_flags >> bit & 1
    ]


@cache
def _load_file(path: Path) -> HKMap:
    try:
        content = read_yaml(path)
    except (OSError, YAMLFileError) as error:
        raise HKMapError(f"cannot read the housekeeping map {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise HKMapError(f"{path} is no housekeeping map")
    return _hk_map(content)


def _hk_map(content: Mapping[str, Any]) -> HKMap:
    name = str(content.get("name", "housekeeping map"))
    size = int(content.get("size", HK_AREA_SIZE))
    prefix = str(content.get("prefix", PREFIX))
    fields = {}
    try:
        for key, spec in content["fields"].items():
            offset, low, high = (int(value) for value in spec)
            length = 2 if high < 16 and offset < 128 else 4
            if not (0 <= offset <= size - length and 0 <= low <= high < 8 * length):
                raise HKMapError(f"{name}: {key} does not fit: {list(spec)}")
            full = prefix + CONFORM.get(key, key)
            fields[full] = HKField(full, key, offset, length, low, (1 << (high - low + 1)) - 1)
    except (KeyError, TypeError, AttributeError) as error:
        raise HKMapError(f"{name}: not a housekeeping map: {error!r}") from error
    return HKMap(name, size, fields)
