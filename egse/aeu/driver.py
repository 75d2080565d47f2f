"""Drivers of the AEU's units: Controllers, and Simulators in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from egse.aeu.awg_interface import AWGInterface
from egse.aeu.crio_interface import CRIOInterface
from egse.aeu.messages import AWG, CRIO, AEUError
from egse.aeu.proxies import PORTS, settings_name, unit_name
from egse.aeu.psu_interface import PSUInterface
from egse.aeu.rack import AEUModel
from egse.aeu.waveforms import block_size, decode_samples, encode_samples
from egse.clock import Clock, system_clock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTransport, TCPTransport
from egse.deviceprotocol import device_address
from egse.dialect import Dialect
from egse.mixin import DynamicCommandMixin
from egse.simulator import MemoryTransport

_LINE_ENDS = {"CRIO": (b"\r\n", b"\r\n"), "PSU": (b"\n", b"\n"), "AWG": (b"\n", b"\r\n")}
"""End of a command and of a reply."""


class AEUEthernetInterface(TCPTransport):
    """The network port of a unit.

    Args:
        unit: CRIO, PSU1 to PSU6, AWG1, AWG2.
        hostname, port: of the unit; from the settings when None.
        timeout: for connecting and for each reply [s].
    """

    def __init__(
        self, unit: str, hostname: str | None = None, port: int | None = None, *, timeout: float = 5.0
    ) -> None:
        command_end, reply_end = _LINE_ENDS[unit.rstrip("123456")]
        super().__init__(
            *device_address(settings_name(unit), hostname, port, default_port=PORTS[unit]),
            timeout=timeout,
            command_terminator=command_end,
            reply_terminator=reply_end,
        )


class _AEUController(DynamicCommandMixin):
    """What the Controllers of all units have in common."""

    kind: ClassVar[str]
    identity: ClassVar[tuple[str, ...]]

    def connect(self) -> None:
        """Connects, checks that the right kind of instrument answers, and empties its error queue.

        Raises:
            DeviceConnectionError: when nothing can be reached, or something else answers.
        """
        self.transport.connect()
        with self.transport.lock:
            identification = self.transport.query("*IDN?").decode("latin-1").strip()
            if not all(word.lower() in identification.lower() for word in self.identity):
                self.transport.disconnect()
                raise DeviceConnectionError(
                    f"expected a {' '.join(self.identity)} ({self.kind} of the AEU), but {identification!r} answered"
                )
            self.transport.write("*CLS")

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return "SIM" in self.get_id()[2]  # type: ignore[attr-defined]

    def _command(self, dialect: Dialect, data: bytes) -> None:
        """Sends a setting that is no text, and has it checked like all others."""
        check = (dialect.end + dialect.error_query).encode()
        dialect.done(self.transport.trans(data + check))


class CRIOController(_AEUController, CRIOInterface):
    """Talks to the cRIO.

    Args:
        hostname, port: of the cRIO; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    kind = "CRIO"
    identity = ("cRIO",)

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        transport: DeviceTransport | None = None,
    ) -> None:
        self.transport = transport or AEUEthernetInterface("CRIO", hostname, port)

    def set_time(self, times: list[float]) -> None:
        """Sets after which time protections trip."""
        if len(times) != 72:
            raise CommandError(f"set_time needs 72 times, got {len(times)}")
        text = ", ".join(f"{time:g}" for time in times)
        self._command(CRIO, f"SYST:TIME:PROT {text}".encode())


class _NumberedController(_AEUController):
    """A unit of which there are several; `kind` and number are its name in the settings.

    Args:
        device_id: its number, from 1.
        hostname, port: where it is; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    def __init__(
        self,
        device_id: int,
        hostname: str | None = None,
        port: int | None = None,
        *,
        transport: DeviceTransport | None = None,
    ) -> None:
        self.device_id = device_id
        self.transport = transport or AEUEthernetInterface(unit_name(self.kind, device_id), hostname, port)


class PSUController(_NumberedController, PSUInterface):
    """Talks to a power supply.

    Args:
        device_id: 1 to 6.
        hostname, port: of the power supply; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    kind = "PSU"
    identity = ("KIKUSUI", "PMX")


class AWGController(_NumberedController, AWGInterface):
    """Talks to a waveform generator.

    Args:
        device_id: 1 or 2.
        hostname, port: of the generator; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    kind = "AWG"
    identity = ("THURLBY THANDAR", "TGF4")

    def load_arb1_data(self, samples: list[int]) -> None:
        """Fills memory ARB1."""
        self._load("ARB1", samples)

    def load_arb2_data(self, samples: list[int]) -> None:
        """Fills memory ARB2."""
        self._load("ARB2", samples)

    def load_arb3_data(self, samples: list[int]) -> None:
        """Fills memory ARB3."""
        self._load("ARB3", samples)

    def load_arb4_data(self, samples: list[int]) -> None:
        """Fills memory ARB4."""
        self._load("ARB4", samples)

    def get_arb1(self) -> list[int]:
        """Returns the samples in memory ARB1."""
        return self._read("ARB1")

    def get_arb2(self) -> list[int]:
        """Returns the samples in memory ARB2."""
        return self._read("ARB2")

    def get_arb3(self) -> list[int]:
        """Returns the samples in memory ARB3."""
        return self._read("ARB3")

    def get_arb4(self) -> list[int]:
        """Returns the samples in memory ARB4."""
        return self._read("ARB4")

    def _load(self, arb: str, samples: Sequence[int]) -> None:
        try:
            block = encode_samples(samples)
        except ValueError as exc:
            raise CommandError(f"{arb} cannot be filled: {exc}") from exc
        self._command(AWG, f"{arb} ".encode() + block)

    def _read(self, arb: str) -> list[int]:
        with self.transport.lock:
            answer = self.transport.query(f"{arb}?")
            try:
                # The samples may hold line ends: what counts is the length of the block.
                while (size := block_size(answer)) is None or len(answer) < size:
                    answer += self.transport.read()
                return decode_samples(answer)
            except ValueError as exc:
                raise AEUError(f"{AWG.name} answered {answer[:40]!r} for {arb}") from exc


class CRIOSimulator(CRIOController):
    """The driver joined with a model of the rack in the same process; replaces the Controller.

    Args:
        clock: time of the model; the host's by default.
        rack: the AEU; one of its own when None.
    """

    def __init__(self, clock: Clock | None = None, rack: AEUModel | None = None) -> None:
        self.rack = rack or AEUModel()
        super().__init__(transport=_memory(self.rack, "CRIO", clock))


class PSUSimulator(PSUController):
    """The driver joined with a model of the rack in the same process; replaces the Controller.

    Args:
        device_id: 1 to 6.
        clock: time of the model; the host's by default.
        rack: the AEU; one of its own when None.
    """

    def __init__(self, device_id: int, clock: Clock | None = None, rack: AEUModel | None = None) -> None:
        self.rack = rack or AEUModel()
        super().__init__(device_id, transport=_memory(self.rack, unit_name("PSU", device_id), clock))


class AWGSimulator(AWGController):
    """The driver joined with a model of the rack in the same process; replaces the Controller.

    Args:
        device_id: 1 or 2.
        clock: time of the model; the host's by default.
        rack: the AEU; one of its own when None.
    """

    def __init__(self, device_id: int, clock: Clock | None = None, rack: AEUModel | None = None) -> None:
        self.rack = rack or AEUModel()
        super().__init__(device_id, transport=_memory(self.rack, unit_name("AWG", device_id), clock))


def _memory(rack: AEUModel, unit: str, clock: Clock | None) -> MemoryTransport:
    command_end, reply_end = _LINE_ENDS[unit.rstrip("123456")]
    model = rack.units()[unit]
    return MemoryTransport(
        model, clock or system_clock(), command_terminator=command_end, reply_terminator=reply_end
    )
