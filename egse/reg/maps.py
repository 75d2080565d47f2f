"""Register map files: reading, checking, finding the one of a camera."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from egse.yamlfile import YAMLFileError, read_yaml

_COMMON: Final = Path(__file__).resolve().parent.parent / "data" / "common"
_FOLDER: Final = _COMMON / "n-fee"

REGISTER_MAP_FILES: Final[dict[str, Path]] = {
    "em": _FOLDER / "n_fee_register_em_v2.yaml",
    "pfm": _FOLDER / "n_fee_register_pfm_v1.yaml",
    "fm": _FOLDER / "n_fee_register_fm_v1.yaml",
    "f-fee": _COMMON / "f-fee" / "f_fee_assumed_v1.yaml",
}
"""The register maps that come with the package: N-FEE by camera model, and the assumed one of the F-FEE."""


class RegisterMapError(ValueError):
    """A register map file is not valid, or a name, address or value does not fit the map."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bits of a field within one register.

    Attributes:
        register: name of the register.
        address: address of the register.
        shift: position of the lowest bit in the 32-bit word.
        width: number of bits.
        value_shift: position of these bits in the value of the field.
    """

    register: str
    address: int
    shift: int
    width: int
    value_shift: int

    @property
    def mask(self) -> int:
        """The bits, not shifted."""
        return (1 << self.width) - 1


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the register map.

    Attributes:
        name: name in the register map.
        pieces: its bits; more than one when the field is spread over two registers.
        width: number of bits.
    """

    name: str
    pieces: tuple[Piece, ...]
    width: int

    @property
    def max_value(self) -> int:
        """Largest value."""
        return (1 << self.width) - 1

    @property
    def reserved(self) -> bool:
        """True for bits without a meaning for the user."""
        return "reserved" in self.name


@dataclass(frozen=True, slots=True)
class RegisterLayout:
    """A register map file, checked.

    Attributes:
        name: name of the map.
        size: size of the memory [bytes].
        addresses: address of each register.
        reset: word after power-on of each register.
        fields: all fields.
        enums: names of values, by field.
    """

    name: str
    size: int
    addresses: dict[str, int]
    reset: dict[str, int]
    fields: dict[str, Field]
    enums: dict[str, dict[str, int]]


def load_layout(source: Mapping[str, Any] | Path | str) -> RegisterLayout:
    """Reads a register map.

    Args:
        source: the content of a register map file (as a Setup that includes one holds it), the path of a file, or
            "em", "pfm", "fm" or "f-fee" for the maps of this package. A file may hold other things beside its map, in
            `register_map`.

    Raises:
        RegisterMapError: when it cannot be read or is not consistent; the message names register and field.
    """
    if isinstance(source, Mapping):
        return _layout(source, str(source.get("name", "register map")))
    path = REGISTER_MAP_FILES.get(str(source).lower(), Path(source))
    try:
        content = read_yaml(path)
    except (OSError, YAMLFileError) as error:
        raise RegisterMapError(f"cannot read the register map {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise RegisterMapError(f"{path} is no register map")
    return _layout(content.get("register_map", content), str(path))


def _layout(content: Mapping[str, Any], where: str) -> RegisterLayout:
    try:
        size = int(content["size"])
        registers: Mapping[str, Any] = content["registers"]
        addresses = {name: int(register["address"]) for name, register in registers.items()}
        reset = {name: int(register.get("reset", 0)) for name, register in registers.items()}
        pieces: dict[str, list[Piece]] = {}
        for name, register in registers.items():
            for field, spec in register["fields"].items():
                pieces.setdefault(field, []).append(_piece(name, addresses[name], spec))
        enums = {
            field: {k: int(v) for k, v in names.items()} for field, names in content.get("enums", {}).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RegisterMapError(f"{where}: not a register map: {error!r}") from error
    _check_addresses(addresses, size, where)
    _check_overlap((piece for members in pieces.values() for piece in members), where)
    fields = {name: _field(name, members, where) for name, members in pieces.items()}
    return RegisterLayout(str(content.get("name", where)), size, addresses, reset, fields, enums)


def _piece(register: str, address: int, spec: Any) -> Piece:
    bits = spec["bits"] if isinstance(spec, Mapping) else spec
    low, high = (int(bit) for bit in bits)
    part = spec["part"] if isinstance(spec, Mapping) and "part" in spec else [0, high - low]
    first, last = (int(bit) for bit in part)
    if not 0 <= low <= high <= 31 or last - first != high - low:
        raise ValueError(f"{register}: bits {bits}, part {part}")
    return Piece(register, address, low, high - low + 1, first)


def _field(name: str, pieces: list[Piece], where: str) -> Field:
    ordered = sorted(pieces, key=lambda piece: piece.value_shift)
    width = 0
    for piece in ordered:
        if piece.value_shift != width:
            raise RegisterMapError(f"{where}: the parts of field {name} do not join at bit {width}")
        width += piece.width
    return Field(name, tuple(ordered), width)


def _check_addresses(addresses: Mapping[str, int], size: int, where: str) -> None:
    if len(set(addresses.values())) != len(addresses):
        raise RegisterMapError(f"{where}: two registers have the same address")
    for name, address in addresses.items():
        if address % 4 or not 0 <= address <= size - 4:
            raise RegisterMapError(f"{where}: address {address:#x} of {name} does not fit")


def _check_overlap(pieces: Iterable[Piece], where: str) -> None:
    taken: dict[str, int] = {}
    for piece in pieces:
        bits = piece.mask << piece.shift
        if taken.get(piece.register, 0) & bits:
            raise RegisterMapError(f"{where}: fields of {piece.register} overlap")
        taken[piece.register] = taken.get(piece.register, 0) | bits
