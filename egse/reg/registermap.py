"""The register map of a FEE: named fields on top of its configuration memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from egse.reg.maps import Field, Piece, RegisterLayout, RegisterMapError, load_layout
from egse.spw import SpaceWireInterface

Key = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field with another value.

    Attributes:
        name: the field.
        registers: the registers that hold it.
        old: value before.
        new: value after.
    """

    name: str
    registers: tuple[str, ...]
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """One register to be written.

    Attributes:
        register: its name.
        address: its address.
        data: its new word, 4 bytes, big-endian.
    """

    register: str
    address: int
    data: bytes


class RegisterMap:
    """Fields of a FEE by name, by register and name, or by address; a copy of its memory is kept.

        registers = RegisterMap("N-FEE", setup.camera.fee.register_map)
        registers["v_end"] = 4539
        registers["reg_5_config", "sensor_sel"]
        for write in registers.plan({"v_start": 500, "v_end": 1000}): ...

    A field that is spread over two registers is one field here (`ccd2_vrd_config`); with its register's name, the part
    in that register is meant.

    Args:
        name: name of the FEE, for listings.
        source: register map of the camera: a mapping, a file, or "em", "pfm", "fm".
        memory: its content, `size` bytes; the words after power-on when not given.

    Raises:
        RegisterMapError: when the map is not valid or the memory has another size.
    """

    def __init__(
        self,
        name: str = "N-FEE",
        source: Mapping[str, Any] | RegisterLayout | Path | str = "fm",
        memory: bytes | bytearray | npt.NDArray[np.uint8] | None = None,
    ) -> None:
        self.name = name
        self.layout = source if isinstance(source, RegisterLayout) else load_layout(source)
        self._memory = bytearray(self.layout.size)
        self._by_address = {address: register for register, address in self.layout.addresses.items()}
        if memory is None:
            self.reset()
        else:
            self.set_array(memory)

    @property
    def size(self) -> int:
        """Size of the memory [bytes]."""
        return self.layout.size

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields in the order of the map, reserved ones included."""
        return tuple(self.layout.fields)

    @property
    def registers(self) -> dict[str, int]:
        """Address of each register."""
        return dict(self.layout.addresses)

    @property
    def memory(self) -> bytearray:
        """The memory itself (not a copy), for a simulator that serves it."""
        return self._memory

    def reset(self) -> None:
        """Puts all registers to their words after power-on; the rest of the memory to zeros."""
        self._memory[:] = bytes(self.size)
        for register, word in self.layout.reset.items():
            self._set_word(self.layout.addresses[register], word)

    # --- fields -------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Key) -> int:
        return self.get_value(key)

    def __setitem__(self, key: Key, value: int | str) -> None:
        self.set_value(key, value)

    def __contains__(self, name: object) -> bool:
        return name in self.layout.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.fields)

    def __len__(self) -> int:
        return len(self.layout.fields)

    def get_value(self, key: Key) -> int:
        """Returns the value of a field.

        Args:
            key: name, or (register, name) for the part of the field in that register.

        Raises:
            KeyError: when there is no such field.
        """
        if isinstance(key, tuple):
            piece = self._piece(*key)
            return (self._word(piece.address) >> piece.shift) & piece.mask
        value = 0
        for piece in self._field(key).pieces:
            value |= ((self._word(piece.address) >> piece.shift) & piece.mask) << piece.value_shift
        return value

    def set_value(self, key: Key, value: int | str) -> None:
        """Sets a field in this copy of the memory (see `write` for the FEE itself).

        Args:
            key: name, or (register, name) for the part of the field in that register.
            value: number, or the name of a value where the map has names (`sensor_sel`: "E", "F", "BOTH").

        Raises:
            KeyError: when there is no such field.
            RegisterMapError: when the value does not fit into the bits of the field.
        """
        if isinstance(key, tuple):
            piece = self._piece(*key)
            number = self._number(key[1], value, piece.width)
            self._set_bits(piece.address, piece.shift, piece.mask, number)
            return
        field = self._field(key)
        number = self._number(key, value, field.width)
        for piece in field.pieces:
            self._set_bits(piece.address, piece.shift, piece.mask, (number >> piece.value_shift) & piece.mask)

    def values(self) -> dict[str, int]:
        """Returns the value of every field."""
        return {name: self.get_value(name) for name in self.layout.fields}

    def value_name(self, name: str) -> str | None:
        """Returns the name of a field's value where the map has one, such as "STANDBY_MODE"."""
        value = self.get_value(name)
        return next(
            (text for text, number in self.layout.enums.get(name, {}).items() if number == value), None
        )

    # --- registers and memory -----------------------------------------------------------------------------------

    def get_register(self, register: str) -> int:
        """Returns the 32-bit word of a register.

        Raises:
            KeyError: when there is no such register.
        """
        return self._word(self._address(register))

    def set_register(self, register: str, word: int) -> None:
        """Sets the 32-bit word of a register in this copy.

        Raises:
            KeyError: when there is no such register.
            RegisterMapError: when the word has more than 32 bits.
        """
        if not 0 <= word <= 0xFFFF_FFFF:
            raise RegisterMapError(f"{register} has 32 bits, got {word:#x}")
        self._set_word(self._address(register), word)

    def get_data(self, address: int, length: int = 4) -> bytes:
        """Returns bytes of the memory.

        Raises:
            RegisterMapError: when they are outside the memory.
        """
        self._check_range(address, length)
        return bytes(self._memory[address : address + length])

    def set_data(self, address: int, data: bytes) -> None:
        """Sets bytes of the memory in this copy.

        Raises:
            RegisterMapError: when they are outside the memory.
        """
        self._check_range(address, len(data))
        self._memory[address : address + len(data)] = data

    def as_array(self) -> npt.NDArray[np.uint8]:
        """Returns a copy of the whole memory: uint8, shape (size,)."""
        return np.frombuffer(bytes(self._memory), np.uint8).copy()

    def set_array(self, memory: bytes | bytearray | npt.NDArray[np.uint8]) -> None:
        """Takes over the whole memory, such as the dataset `/register` of an HDF5 file.

        Raises:
            RegisterMapError: when it has another size.
        """
        data = memory.astype(np.uint8).tobytes() if isinstance(memory, np.ndarray) else bytes(memory)
        if len(data) != self.size:
            raise RegisterMapError(f"the memory of {self.layout.name} has {self.size} bytes, got {len(data)}")
        self._memory[:] = data

    @classmethod
    def from_array(
        cls,
        memory: bytes | bytearray | npt.NDArray[np.uint8],
        source: Mapping[str, Any] | RegisterLayout | Path | str = "fm",
        name: str = "N-FEE",
    ) -> Self:
        """Returns the register map for a dumped memory."""
        return cls(name, source, memory)

    def copy(self) -> RegisterMap:
        """Returns an independent copy."""
        return RegisterMap(self.name, self.layout, self._memory)

    # --- differences and writing --------------------------------------------------------------------------------

    def diff(self, other: RegisterMap) -> list[FieldChange]:
        """Returns the fields whose value is another one in `other` (old: here, new: there)."""
        changes = []
        for name, field in self.layout.fields.items():
            old, new = self.get_value(name), other.get_value(name)
            if old != new:
                changes.append(FieldChange(name, tuple(piece.register for piece in field.pieces), old, new))
        return changes

    def plan(self, values: Mapping[str, int | str]) -> list[RegisterWrite]:
        """Returns the registers to write for new values of fields, each once, in the order of their addresses.

        A register is listed also when its word does not change, so that writing 1 to a command bit that reads 1 is
        not lost. This copy is not changed: call `apply` once a write is acknowledged.

        Raises:
            KeyError: when there is no such field.
            RegisterMapError: when a value does not fit.
        """
        target = self.copy()
        addresses: set[int] = set()
        for name, value in values.items():
            target.set_value(name, value)
            addresses.update(piece.address for piece in self._field(name).pieces)
        return [
            RegisterWrite(self._by_address[address], address, target.get_data(address))
            for address in sorted(addresses)
        ]

    def apply(self, write: RegisterWrite) -> None:
        """Takes a write over into this copy."""
        self.set_data(write.address, write.data)

    def write(self, link: SpaceWireInterface, values: Mapping[str, int | str]) -> list[RegisterWrite]:
        """Writes fields to the FEE, register by register; this copy follows each acknowledgement.

        Args:
            link: open link to the FEE.
            values: new values by field.

        Returns:
            What was written.

        Raises:
            KeyError: when there is no such field.
            RegisterMapError: when a value does not fit; nothing is written then.
            egse.rmap.RMAPError: when a write fails; the registers before it are written.
        """
        writes = self.plan(values)
        for write in writes:
            link.write_register(write.address, write.data)
            self.apply(write)
        return writes

    def read(self, link: SpaceWireInterface) -> list[FieldChange]:
        """Reads all registers from the FEE into this copy.

        Returns:
            The fields that had another value in this copy.
        """
        before = self.copy()
        for address in sorted(self._by_address):
            self.set_data(address, link.read_register(address))
        return before.diff(self)

    # --- listings -----------------------------------------------------------------------------------------------

    def table(self) -> str:
        """Returns all registers and fields as a table: register, field, value in decimal and hexadecimal."""
        lines = [
            f"{self.name} register map {self.layout.name}",
            f"{'register':<14} {'field':<32} {'value':>10} {'hex':>10}",
        ]
        for register, address in self.layout.addresses.items():
            lines.append(f"{register:<14} {'':<32} {'':>10} {self._word(address):>#10x}")
            for name, field in self.layout.fields.items():
                if any(piece.register == register for piece in field.pieces):
                    part = " *" if len(field.pieces) > 1 else ""
                    value = self.get_value(name)
                    text = self.value_name(name)
                    lines.append(
                        f"{'':<14} {name + part:<32} {value:>10} {value:>#10x}  {text or ''}".rstrip()
                    )
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"RegisterMap({self.name!r}, {self.layout.name!r}, {len(self.layout.fields)} fields)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegisterMap) and self._memory == other._memory

    __hash__ = None  # type: ignore[assignment]

    # --- inside -------------------------------------------------------------------------------------------------

    def _field(self, name: str) -> Field:
        try:
            return self.layout.fields[name]
        except KeyError:
            raise KeyError(f"no field {name!r} in the register map {self.layout.name}") from None

    def _piece(self, register: str, name: str) -> Piece:
        for piece in self._field(name).pieces:
            if piece.register == register:
                return piece
        raise KeyError(f"no field {name!r} in register {register!r} of {self.layout.name}")

    def _address(self, register: str) -> int:
        try:
            return self.layout.addresses[register]
        except KeyError:
            raise KeyError(f"no register {register!r} in the register map {self.layout.name}") from None

    def _number(self, name: str, value: int | str, width: int) -> int:
        if isinstance(value, str):
            names = self.layout.enums.get(name, {})
            if value not in names:
                raise RegisterMapError(f"{name} has no value {value!r}; it knows {list(names)}")
            return names[value]
        number = int(value)
        if number != value or not 0 <= number < 1 << width:
            raise RegisterMapError(f"{name} takes 0 to {(1 << width) - 1}, got {value!r}")
        return number

    def _word(self, address: int) -> int:
        return int.from_bytes(self._memory[address : address + 4], "big")

    def _set_word(self, address: int, word: int) -> None:
        self._memory[address : address + 4] = word.to_bytes(4, "big")

    def _set_bits(self, address: int, shift: int, mask: int, value: int) -> None:
        self._set_word(address, (self._word(address) & ~(mask << shift)) | value << shift)

    def _check_range(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > self.size:
            raise RegisterMapError(
                f"{length} bytes at {address:#x} are outside the {self.size} bytes of {self.layout.name}"
            )
