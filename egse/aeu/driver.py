"""Drivers of the AEU's units: Controllers, and Simulators in their place."""

from __future__ import annotations

from collections.abc import Sequence

from egse.aeu.awg_interface import AWGInterface
from egse.aeu.crio_interface import CRIOInterface
from egse.aeu.messages import AWG, CRIO, AEUError
from egse.aeu.proxies import PORTS, settings_name, unit_name
from egse.aeu.psu_interface import PSUInterface
from egse.aeu.rack import AEUModel
from egse.aeu.waveforms import block_size, decode_samples, encode_samples
from egse.clock import Clock, system_clock
from egse.command import CommandError
from egse.device import DeviceTransport
from egse.dialect import Dialect
from egse.instrument import InstrumentController, NetworkInterface, Wire
from egse.simulator import MemoryTransport


class CRIOEthernetInterface(NetworkInterface):
    """The network port of the cRIO."""

    wire = Wire(settings_name("CRIO"), PORTS["CRIO"], b"\r\n", b"\r\n")


class PSUEthernetInterface(NetworkInterface):
    """The network port of a power supply; `unit` is its number."""

    wire = Wire(settings_name("PSU{unit}"), {n: PORTS[f"PSU{n}"] for n in range(1, 7)})


class AWGEthernetInterface(NetworkInterface):
    """The network port of a waveform generator; `unit` is its number."""

    wire = Wire(settings_name("AWG{unit}"), {n: PORTS[f"AWG{n}"] for n in (1, 2)}, reply_end=b"\r\n")


class _AEUController(InstrumentController):
    """What the Controllers of all units have in common."""

    def connect(self) -> None:
        """Connects, checks that the right kind of instrument answers, and empties its error queue.

        Raises:
            DeviceConnectionError: when nothing can be reached, or something else answers.
        """
        with self.transport.lock:
            is_new = not self.transport.is_connected()
            super().connect()
            if is_new:
                self.transport.write("*CLS")

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return "SIM" in self.get_id()[2]  # type: ignore[attr-defined]

    def _command(self, dialect: Dialect, data: bytes) -> None:
        """Sends a setting that is no text, and has it checked like all others."""
        check = (dialect.end + dialect.error_query).encode()
        dialect.done(self.transport.trans(data + check))


class CRIOController(_AEUController, CRIOInterface):
    """Talks to the cRIO."""

    network = CRIOEthernetInterface
    identity = ("cRIO",)

    def set_time(self, times: list[float]) -> None:
        """Sets after which time protections trip."""
        if len(times) != 72:
            raise CommandError(f"set_time needs 72 times, got {len(times)}")
        text = ", ".join(f"{time:g}" for time in times)
        self._command(CRIO, f"SYST:TIME:PROT {text}".encode())


class _NumberedController(_AEUController):
    """A unit of which there are several.

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
        super().__init__(hostname, port, transport=transport, unit=device_id)


class PSUController(_NumberedController, PSUInterface):
    """Talks to a power supply.

    Args:
        device_id: 1 to 6.
        hostname, port: of the power supply; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    network = PSUEthernetInterface
    identity = ("KIKUSUI", "PMX")


class AWGController(_NumberedController, AWGInterface):
    """Talks to a waveform generator.

    Args:
        device_id: 1 or 2.
        hostname, port: of the generator; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    network = AWGEthernetInterface
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


def _to_model(controller: _AEUController, rack: AEUModel, unit: str, clock: Clock | None) -> MemoryTransport:
    return controller.network.wire.to_model(rack.units()[unit], clock or system_clock())


class CRIOSimulator(CRIOController):
    """The driver joined with a model of the rack in the same process; replaces the Controller.

    Args:
        clock: time of the model; the host's by default.
        rack: the AEU; one of its own when None.
    """

    def __init__(self, clock: Clock | None = None, rack: AEUModel | None = None) -> None:
        self.rack = rack or AEUModel()
        super().__init__(transport=_to_model(self, self.rack, "CRIO", clock))


class PSUSimulator(PSUController):
    """The driver joined with a model of the rack in the same process; replaces the Controller.

    Args:
        device_id: 1 to 6.
        clock: time of the model; the host's by default.
        rack: the AEU; one of its own when None.
    """

    def __init__(self, device_id: int, clock: Clock | None = None, rack: AEUModel | None = None) -> None:
        self.rack = rack or AEUModel()
        super().__init__(device_id, transport=_to_model(self, self.rack, unit_name("PSU", device_id), clock))


class AWGSimulator(AWGController):
    """The driver joined with a model of the rack in the same process; replaces the Controller.

    Args:
        device_id: 1 or 2.
        clock: time of the model; the host's by default.
        rack: the AEU; one of its own when None.
    """

    def __init__(self, device_id: int, clock: Clock | None = None, rack: AEUModel | None = None) -> None:
        self.rack = rack or AEUModel()
        super().__init__(device_id, transport=_to_model(self, self.rack, unit_name("AWG", device_id), clock))
