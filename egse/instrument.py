"""What the packages of instruments have in common: how they are reached, made, simulated and asked for housekeeping.

An instrument is four small classes and no more (`egse.ogse` and `egse.tempcontrol.lsci336` are the models to follow):

    class OGSEEthernetInterface(NetworkInterface):
        wire = Wire("OGSE Control Server", port=4181, banner=True)

    class OGSEController(InstrumentController, OGSEInterface):     # the commands are those of the interface
        network = OGSEEthernetInterface

    class OGSESimulator(Simulated, OGSEController):                # the same driver, joined with the model
        model_type = OGSEModel

    class OGSEProxy(DynamicProxy, OGSEInterface):                  # client of the control server
        settings_name, server_name = SETTINGS, "ogse_cs"

    class OGSEProtocol(InstrumentProtocol): ...                    # one housekeeping row

    APP = ControlServerApp(..., controller=maker(OGSEController, OGSESimulator), ...)
    SIM = SimulatorApp(...)

Several identical units have `{unit}` in the names of their settings block and their server; see `Wire` and `UnitProxy`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from egse.clock import Clock, system_clock
from egse.declaration import ServerContext
from egse.device import DeviceConnectionError, DeviceTransport, ReplyLength, TCPTransport
from egse.deviceports import open_resource
from egse.deviceprotocol import DeviceProtocol, device_address
from egse.env import EnvError, get_site_id
from egse.mixin import DynamicCommandMixin
from egse.proxy import DynamicProxy
from egse.settings import Settings
from egse.setup import SetupError, get_setup
from egse.simulator import DeviceModel, MemoryTransport
from egse.synoptics import SynopticsForwarder
from egse.tmdict import site_prefix

LOGGER = logging.getLogger(__name__)

RETRY_INTERVAL = 10.0
"""A Setup that could not be had is asked for again after so long [s]."""
NO_SITE = "GLAB_"
"""Prefix of housekeeping names where no site is set."""


@dataclass(frozen=True)
class Wire:
    """How one kind of instrument is reached.

    Attributes:
        settings: block of its control server in the Settings, whose `DEVICE_HOSTNAME` and `DEVICE_PORT`, or
            `DEVICE_RESOURCE` (`egse.deviceports`), say where it is; with `{unit}` where there are several.
        port: TCP port when the settings name none; by unit where there are several.
        command_end: terminator of a command; empty for binary messages.
        reply_end: terminator of a reply.
        reply_length: finds the end of a reply that has no terminator.
        banner: the instrument greets with one line.
        min_interval: shortest time between two messages [s].
        timeout: for connecting and for each reply [s].
    """

    settings: str
    port: int | Mapping[Any, int]
    command_end: bytes = b"\n"
    reply_end: bytes = b"\n"
    reply_length: ReplyLength | None = None
    banner: bool = False
    min_interval: float = 0.0
    timeout: float = 5.0

    def block(self, unit: Any = None) -> str:
        """Returns the name of the settings block, of one unit where there are several; of unit 1 when none is named."""
        return self.settings.format(unit=1 if unit is None else unit)

    def default_port(self, unit: Any = None) -> int:
        """Returns the TCP port when the settings name none, of one unit where there are several.

        Raises:
            ValueError: when there is no such unit.
        """
        if isinstance(self.port, int):
            return self.port
        if unit not in self.port:
            known = ", ".join(map(str, self.port))
            raise ValueError(f"there is no unit {unit!r} of {self.settings!r}, only {known}")
        return self.port[unit]

    @property
    def framing(self) -> dict[str, Any]:
        """What any transport has to know about it."""
        return {
            "timeout": self.timeout,
            "command_terminator": self.command_end,
            "reply_terminator": self.reply_end,
            "reply_length": self.reply_length,
            "banner": self.banner,
        }

    def to_model(self, model: DeviceModel, clock: Clock) -> MemoryTransport:
        """Returns the way to a model in this process."""
        return MemoryTransport(model, clock, **self.framing)

    def to_resource(self, resource: str) -> DeviceTransport:
        """Returns the way to an instrument on a port of another kind than TCP, see `egse.deviceports`."""
        return open_resource(resource, min_interval=self.min_interval, **self.framing)


class NetworkInterface(TCPTransport):
    """The network port of an instrument; a sub-class names the wire.

    Args:
        hostname, port: of the instrument; from the settings when None.
        unit: which one of several identical ones; picks the settings block.
        timeout: for connecting and for each reply [s]; that of the wire when None.
    """

    wire: ClassVar[Wire]

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        unit: Any = None,
        timeout: float | None = None,
    ) -> None:
        wire, default_port = self.wire, self.wire.default_port(unit)
        framing = wire.framing if timeout is None else {**wire.framing, "timeout": timeout}
        place = device_address(wire.block(unit), hostname, port, default_port=default_port)
        super().__init__(*place, min_interval=wire.min_interval, **framing)


class InstrumentController(DynamicCommandMixin):
    """Talks to an instrument; a sub-class also inherits the interface (after this class), and names the network port.

    Args:
        hostname, port: of the instrument; from the settings when None, where it may also be on another kind of port.
        transport: how to reach it instead: a model in the same process, a port of `egse.deviceports`.
        unit: which one of several identical ones; picks the settings block.

    Attributes:
        network: its network port.
        identity: words that must all be in the answer to `identify()`, in any case, when the driver connects.
        unit: which one of several, None for the only one.
    """

    network: ClassVar[type[NetworkInterface]]
    identity: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        transport: DeviceTransport | None = None,
        unit: Any = None,
    ) -> None:
        self.unit = unit
        self.transport = transport or self._way(hostname, port)

    def _way(self, hostname: str | None, port: int | None) -> DeviceTransport:
        """Returns the way to the instrument: an address that was given comes before what the settings say."""
        wire = self.network.wire
        if hostname is None and port is None:
            resource = Settings.load(wire.block(self.unit)).get("DEVICE_RESOURCE")
            if resource:
                return wire.to_resource(str(resource))
        return self.network(hostname, port, unit=self.unit)

    def connect(self) -> None:
        """Connects, and checks that the right kind of instrument answers.

        Raises:
            DeviceConnectionError: when nothing can be reached, or something else answers.
        """
        with self.transport.lock:
            if self.transport.is_connected():
                return
            self.transport.connect()
            if not self.identity:
                return
            answer = self.identify()
            if not all(word.lower() in answer.lower() for word in self.identity):
                self.transport.disconnect()
                raise DeviceConnectionError(
                    f"expected an instrument that calls itself {' '.join(self.identity)}, but {answer!r} answered: "
                    f"check DEVICE_HOSTNAME and DEVICE_PORT of {self.network.wire.block(self.unit)!r} in the settings"
                )

    def identify(self) -> str:
        """Asks the instrument what it is; `*IDN?` where a driver does not know better."""
        return self.transport.query("*IDN?").decode("latin-1").strip()

    def reconnect(self) -> None:
        """Disconnects and connects again."""
        self.disconnect()
        self.connect()


class Simulated(InstrumentController):
    """Joins a driver with a model of its instrument in the same process: `class XSimulator(Simulated, XController)`.

    It has the Controller's interface and replaces it (manual, chapter 16); `--simulator` and the dry run use it.

    Args:
        clock: time of the model; the host's by default.
        seed: of noise and durations.
        model: the instrument; a new one when None.
        unit: which one of several identical ones.

    Attributes:
        model_type: makes the instrument; called with the seed.
        model: the instrument.
    """

    model_type: ClassVar[Callable[[int], DeviceModel]]

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int = 0,
        *,
        model: DeviceModel | None = None,
        unit: Any = None,
    ) -> None:
        self.model: Any = type(self).model_type(seed) if model is None else model
        transport = self.network.wire.to_model(self.model, clock or system_clock())
        super().__init__(transport=transport, unit=unit)

    def is_simulator(self) -> bool:
        """Returns True."""
        return True


def maker(
    controller: type[InstrumentController], simulator: type[Simulated]
) -> Callable[[ServerContext], Any]:
    """Returns what makes the Controller for a control server or a dry run.

    With the simulator the model lives in this process; it is put into `context.shared` under the name of the server
    without `_cs`, for models that look at each other.
    """

    def make(context: ServerContext) -> Any:
        unit = context.device_args[0] if context.device_args else None
        if not context.simulator:
            return controller(unit=unit)
        simulated = simulator(context.clock, context.seed, unit=unit)
        context.shared[context.name.removesuffix("_cs")] = simulated.model
        return simulated

    return make


class UnitProxy(DynamicProxy):
    """Client of the control server of one of several identical units.

    Args:
        unit: which one; `device_args: [2]` in the Setup.
        endpoint, timeout: see `egse.proxy.Proxy`.

    Attributes:
        units: those there are.
        settings_pattern, server_pattern: names of settings block and server, with `{unit}`.
    """

    units: ClassVar[tuple[Any, ...]] = ()
    settings_pattern: ClassVar[str] = ""
    server_pattern: ClassVar[str] = ""

    def __init__(self, unit: Any, *, endpoint: str | None = None, timeout: float = 10.0) -> None:
        if unit not in self.units:
            known = ", ".join(map(str, self.units))
            raise ValueError(f"there is no unit {unit!r} of {type(self).__name__}, only {known}")
        super().__init__(endpoint=endpoint, timeout=timeout)
        self.unit = unit
        self.settings_name = self.settings_pattern.format(unit=unit)
        self.server_name = self.server_pattern.format(unit=unit)


class InstrumentProtocol(DeviceProtocol):
    """Housekeeping of an instrument: one row, named after the EGSE's rules and passed on to the synoptics.

    A sub-class gives `get_row()`. `prefix` is put before each of its names; `{site}` in it is that of the site,
    `G<SITE>_` (storage ICD, section 7.1), `{unit}` which one of several.

    Attributes:
        prefix: what the names begin with.
        synoptics_kind: `th` for temperatures and what else a test house has of its own, `common` for what all of them
            have, empty for a device of which the synoptics know nothing.
    """

    prefix: ClassVar[str] = ""
    synoptics_kind: ClassVar[str] = "th"
    synoptics: SynopticsForwarder | None = None
    _setup: Mapping[str, Any] | None = None
    _setup_stamp: object = None
    _setup_asked = float("-inf")

    def start(self) -> None:
        """Connects to the device; from now on housekeeping goes to the synoptics too."""
        super().start()
        if self.synoptics_kind:
            self.synoptics = SynopticsForwarder(self.control_server.name)

    def get_row(self) -> dict[str, Any]:
        """Asks the device for one row; keys without the prefix."""
        raise TypeError(f"{type(self).__name__} must define get_row()")

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        prefix = self.prefix.format(site=prefix_of_site(), unit=getattr(self.controller, "unit", None))
        hk = {f"{prefix}{name}": value for name, value in self.get_row().items()}
        if self.synoptics is not None and hk:
            store = {"th": self.synoptics.store_th_synoptics, "common": self.synoptics.store_common_synoptics}
            store[self.synoptics_kind](hk)
        return hk

    def from_setup(self, path: str, default: Any) -> Any:
        """Returns a value of the loaded Setup; it is asked for again when another Setup is loaded.

        Args:
            path: to the value, `gse.ogse.fwc_factor`.
            default: when no Setup is loaded, or it has no such value.
        """
        watch = getattr(self.control_server, "setup_watch", None)
        stamp = None if watch is None else watch.loaded
        if (
            stamp is not None
            and stamp != self._setup_stamp
            and time.monotonic() > self._setup_asked + RETRY_INTERVAL
        ):
            self._setup_asked = time.monotonic()
            try:
                self._setup, self._setup_stamp = get_setup(), stamp
                self._setup_asked = float("-inf")
            except (ConnectionError, TimeoutError, SetupError, OSError) as exc:
                LOGGER.warning("the Setup cannot be had, %s is left as it was: %s", path, exc)
        node: Any = self._setup
        for name in path.split("."):
            node = node.get(name) if isinstance(node, Mapping) else None
        return default if node is None else node

    def quit(self) -> None:
        """Disconnects from the device, which goes on as it is."""
        if self.synoptics is not None:
            self.synoptics.close()
        super().quit()


def prefix_of_site() -> str:
    """Returns the prefix of housekeeping names of this site, `G<SITE>_` (storage ICD, section 7.1)."""
    try:
        return site_prefix(get_site_id())
    except EnvError:
        return NO_SITE
