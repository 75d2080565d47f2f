"""CCD numbers: the CGSE's (1..4, everywhere in commanding and files) and the FEE's (2-bit code in packets and registers).

Source: developer manual, section 14.3. The tables belong into the Setup (`camera.fee.ccd_numbering`); those below are
used when it has none. For PFM and FM the source leaves them empty; code = number - 1 is the only choice that fits its
examples (frame 3, code 3, "CCD #4", order 228).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from egse.env import camera_is_em

FEE_SENSOR_SEL: Final[dict[str, int]] = {"F": 0b01, "E": 0b10, "BOTH": 0b11}
"""Values of the register field `sensor_sel`: one bit per side. That 3 is both sides is given; which bit is which side is
an assumption (the one public camera software makes); the register map files carry it too."""


@dataclass(frozen=True, slots=True)
class CCDNumbering:
    """The conversion tables of one camera.

    Attributes:
        bin_to_id: FEE code to CGSE number.
        bin_to_idx: FEE code to index in a display, 0..3.
        id_to_bin: CGSE number to FEE code; element 0 is not used.
        default_readout_order: register value that reads CCD 1, 2, 3, 4 in turn.
    """

    bin_to_id: tuple[int, ...]
    bin_to_idx: tuple[int, ...]
    id_to_bin: tuple[int, ...]
    default_readout_order: int

    @classmethod
    def from_mapping(cls, tables: Mapping[str, Any]) -> Self:
        """Returns the numbering from `camera.fee.ccd_numbering` (keys in lower or upper case).

        Raises:
            ValueError: when the tables are missing or do not fit each other.
        """
        lower = {str(key).lower(): value for key, value in tables.items()}
        try:
            to_id = tuple(int(value) for value in lower["ccd_bin_to_id"])
        except KeyError as error:
            raise ValueError(f"no ccd_bin_to_id among the CCD numbering: {sorted(lower)}") from error
        if sorted(to_id) != [1, 2, 3, 4]:
            raise ValueError(f"ccd_bin_to_id must hold each of 1, 2, 3, 4 once, got {list(to_id)}")
        id_to_bin = (0, *(to_id.index(ccd) for ccd in (1, 2, 3, 4)))
        given = tuple(int(value) for value in lower.get("ccd_id_to_bin", id_to_bin))
        if given[1:] != id_to_bin[1:]:
            raise ValueError(f"ccd_id_to_bin {list(given)} is not the reverse of ccd_bin_to_id {list(to_id)}")
        to_idx = tuple(int(value) for value in lower.get("ccd_bin_to_idx", [ccd - 1 for ccd in to_id]))
        default = int(lower.get("default_ccd_readout_order", _encode([1, 2, 3, 4], id_to_bin)))
        return cls(to_id, to_idx, id_to_bin, default)

    def encode_order(self, ccd_order: Sequence[int]) -> int:
        """Returns the value of `ccd_readout_order` for four CGSE numbers: first CCD in the lowest two bits.

        Raises:
            ValueError: unless these are four numbers from 1 to 4.
        """
        if len(ccd_order) != 4 or any(ccd not in (1, 2, 3, 4) for ccd in ccd_order):
            raise ValueError(f"a CCD order is four numbers from 1 to 4, got {list(ccd_order)}")
        return _encode(ccd_order, self.id_to_bin)

    def decode_order(self, order: int) -> list[int]:
        """Returns the four CGSE numbers of a `ccd_readout_order`.

        Raises:
            ValueError: when it has more than 8 bits.
        """
        return [self.bin_to_id[code] for code in order_codes(order)]


def order_codes(order: int) -> list[int]:
    """Returns the four FEE codes of a `ccd_readout_order` in the order of their readout.

    Raises:
        ValueError: when it has more than 8 bits.
    """
    if not 0 <= order <= 0xFF:
        raise ValueError(f"ccd_readout_order has 8 bits, got {order}")
    return [(order >> shift) & 3 for shift in (0, 2, 4, 6)]


def _encode(ccd_order: Sequence[int], id_to_bin: Sequence[int]) -> int:
    return sum(id_to_bin[ccd] << (2 * index) for index, ccd in enumerate(ccd_order))


EM_NUMBERING: Final = CCDNumbering((3, 4, 1, 2), (2, 3, 0, 1), (0, 0b10, 0b11, 0b00, 0b01), 0x4E)
"""Engineering model: two pairs of CCDs are swapped, hence 0x4E instead of 0xE4."""

FM_NUMBERING: Final = CCDNumbering((1, 2, 3, 4), (0, 1, 2, 3), (0, 0b00, 0b01, 0b10, 0b11), 0xE4)
"""Proto-flight and flight models."""

NUMBERINGS: Final[dict[str, CCDNumbering]] = {"em": EM_NUMBERING, "pfm": FM_NUMBERING, "fm": FM_NUMBERING}


def camera_model() -> str:
    """Returns "em" when the environment variable PLATO_CAMERA_IS_EM says so, else "fm".

    Raises:
        EnvError: when it is neither True nor False.
    """
    return "em" if camera_is_em() else "fm"


def ccd_numbering(setup: Mapping[str, Any] | None = None) -> CCDNumbering:
    """Returns the CCD numbering of the camera.

    Args:
        setup: Setup whose `camera.fee.ccd_numbering` is used; without it, or when it has none, the built-in table of
            the camera model (see `camera_model`).
    """
    node: Any = setup
    for key in ("camera", "fee", "ccd_numbering"):
        node = node.get(key) if isinstance(node, Mapping) else None
    if isinstance(node, Mapping) and node:
        return CCDNumbering.from_mapping(node)
    return NUMBERINGS[camera_model()]


def encode_ccd_order(ccd_order: Sequence[int], numbering: CCDNumbering | None = None) -> int:
    """Returns the register value `ccd_readout_order` for four CGSE numbers; see `CCDNumbering.encode_order`."""
    return (numbering or ccd_numbering()).encode_order(ccd_order)


def decode_ccd_order(order: int, numbering: CCDNumbering | None = None) -> list[int]:
    """Returns the four CGSE numbers of a register value; see `CCDNumbering.decode_order`."""
    return (numbering or ccd_numbering()).decode_order(order)
