"""What may be read and written where: the address rules of a target's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from egse.rmap.constants import HK_AREA_ADDRESS
from egse.rmap.errors import RMAPAddressError


@dataclass(frozen=True, slots=True)
class MemoryArea:
    """A range of addresses with the same rules.

    Attributes:
        name: for messages.
        start: first address.
        end: last address, inclusive.
        max_length: largest number of bytes in one transaction; multiples of 4 only.
        writable: False when it can only be read.
        verify: writes are sent with the verify bit.
    """

    name: str
    start: int
    end: int
    max_length: int
    writable: bool = True
    verify: bool = True


N_FEE_AREAS: Final = (
    MemoryArea("critical configuration", 0x0000_0000, 0x0000_00FF, 4),
    MemoryArea("general configuration", 0x0000_0100, HK_AREA_ADDRESS - 1, 256),
    MemoryArea("housekeeping", HK_AREA_ADDRESS, 0x0000_07FF, 256, writable=False),
    MemoryArea("windowing", 0x0080_0000, 0x00FF_FFFF, 4096, verify=False),
)
"""Memory of the N-FEE (assumption: the rules are not public; all 27 registers lie in the critical area)."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """The rules of one kind of target, checked by the initiator before it sends and by the target model.

    Attributes:
        areas: the memory areas, in order of address and without overlap.
    """

    areas: tuple[MemoryArea, ...] = N_FEE_AREAS

    def area(self, address: int) -> MemoryArea:
        """Returns the area of an address.

        Raises:
            RMAPAddressError: when the address is in none.
        """
        for area in self.areas:
            if area.start <= address <= area.end:
                return area
        raise RMAPAddressError(f"address {address:#010x} is outside the memory of the FEE")

    def check(self, address: int, length: int, *, write: bool) -> MemoryArea:
        """Returns the area when `length` bytes at `address` may be read (or written) in one transaction.

        Raises:
            RMAPAddressError: naming the rule that is broken.
        """
        area = self.area(address)
        if address % 4 or length % 4 or length <= 0:
            raise RMAPAddressError(f"address {address:#010x} and length {length} must be multiples of 4")
        if length > area.max_length:
            raise RMAPAddressError(
                f"{length} bytes asked, the {area.name} area allows {area.max_length} at a time"
            )
        if address + length - 1 > area.end:
            raise RMAPAddressError(f"{length} bytes from {address:#010x} reach beyond the {area.name} area")
        if write and not area.writable:
            raise RMAPAddressError(f"the {area.name} area at {address:#010x} is read-only")
        return area

    def split(self, address: int, size: int) -> list[tuple[int, int]]:
        """Returns (address, length) of the transactions that read `size` bytes from `address`.

        Raises:
            RMAPAddressError: when part of the range is outside the memory or not on a word boundary.
        """
        if size <= 0:
            raise RMAPAddressError(f"size must be larger than 0, got {size}")
        parts = []
        end = address + size
        while address < end:
            area = self.area(address)
            length = min(area.max_length, end - address, area.end + 1 - address)
            self.check(address, length, write=False)
            parts.append((address, length))
            address += length
        return parts
