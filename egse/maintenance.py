"""A device under somebody's hands: reserved for maintenance, with its raw wire, while its control server runs on.

While a device is reserved its server refuses every other command, except those that make safe, and takes no housekeeping.
A reservation is a lease: it ends by itself when nothing has been exchanged for its length of time. What is exchanged stands in
the command journal and in the tap. `cgse console NAME` is the front end.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any

from egse.command import CommandDefinition, CommandError, Range, Unit, commands_of, dynamic_interface
from egse.device import DeviceTransport
from egse.response import register_error
from egse.security.roles import is_under_control, observe
from egse.wiretap import WireTap


@register_error
class DeviceReservedError(PermissionError):
    """The device is reserved for maintenance by somebody; nothing was sent to it."""


class MaintenanceInterface:
    """What the control server of a device on a wire offers besides the commands of the device."""

    @dynamic_interface
    def reserve_device(
        self, by: str, reason: str, seconds: Annotated[float, Range(1, 3600), Unit("s")] = 300.0
    ) -> str:
        """Reserves the device for maintenance.

        Args:
            by: who, for the messages to others.
            reason: what for.
            seconds: the reservation ends after this time without an exchange.

        Returns:
            The ticket for `exchange_raw` and `release_device`.

        Raises:
            DeviceReservedError: somebody else has it.
        """

    @dynamic_interface
    def release_device(self, ticket: str) -> None:
        """Ends a reservation; one that has ended already is ignored.

        Args:
            ticket: as `reserve_device` gave it.
        """

    @dynamic_interface
    def exchange_raw(
        self, ticket: str, data: str, wait: Annotated[float, Range(0.01, 60), Unit("s")] = 1.0
    ) -> str:
        """Sends bytes to the device and returns what comes back.

        Args:
            ticket: as `reserve_device` gave it.
            data: the bytes in base64; the terminator of a command is added when missing.
            wait: for the first byte of an answer.

        Returns:
            The answer in base64, empty when there is none.

        Raises:
            DeviceReservedError: the ticket is not, or no longer, that of the reservation.
            DeviceError: the device cannot be reached.
        """

    @observe
    @dynamic_interface
    def get_wire_tap(self, last: Annotated[int, Range(1, 100_000)] = 1000) -> list[list[Any]]:
        """Returns what went over the wire lately.

        Args:
            last: how many chunks.

        Returns:
            Lists of Unix time [s], direction (`>` to the device, `<` from it, `=` a new connection) and bytes (base64).
        """


class Maintenance(MaintenanceInterface):
    """The reservation of one device.

    Args:
        transport: the way to the device.
        clock: monotonic time [s].
    """

    def __init__(self, transport: DeviceTransport, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._ticket = self._by = self._reason = ""
        self._seconds = self._until = 0.0

    @property
    def tap(self) -> WireTap:
        """What went over the wire."""
        return self._transport.tap

    def reserve_device(self, by: str, reason: str, seconds: float = 300.0) -> str:
        with self._lock:
            self._refuse_if_reserved("reserve_device")
            self._ticket = secrets.token_hex(8)
            self._by, self._reason, self._seconds = by, reason, seconds
            self._until = self._clock() + seconds
            return self._ticket

    def release_device(self, ticket: str) -> None:
        with self._lock:
            if ticket == self._ticket:
                self._until = 0.0

    def exchange_raw(self, ticket: str, data: str, wait: float = 1.0) -> str:
        with self._lock:
            if not self.is_reserved or ticket != self._ticket:
                self._refuse_if_reserved("exchange_raw")
                raise DeviceReservedError("the reservation has ended: reserve the device again")
            self._until = self._clock() + wait + self._seconds
        try:
            raw = base64.b64decode(data, validate=True)
        except binascii.Error as exc:
            raise CommandError(f"data must be base64: {exc}") from exc
        return base64.b64encode(self._transport.exchange(raw, wait)).decode("ascii")

    def get_wire_tap(self, last: int = 1000) -> list[list[Any]]:
        return [
            [chunk.time, chunk.direction, base64.b64encode(chunk.data).decode("ascii")]
            for chunk in self.tap.chunks()[-last:]
        ]

    @property
    def is_reserved(self) -> bool:
        """True while somebody has the device."""
        return self._clock() < self._until

    def describe(self) -> str:
        """Returns who has the device and why; empty when nobody has."""
        return f"reserved by {self._by}: {self._reason}" if self.is_reserved else ""

    def check(self, definition: CommandDefinition) -> None:
        """Refuses a command of the device while it is reserved.

        Raises:
            DeviceReservedError: except for commands that only make safe, and those of maintenance itself.
        """
        if not self._until or not self.is_reserved or definition.name in OWN_COMMANDS:
            return
        if definition.cmd_type not in ("query", "read") and not is_under_control(definition, device=True):
            return  # what looks without asking the device, and what makes safe
        self._refuse_if_reserved(definition.name)

    def _refuse_if_reserved(self, what: str) -> None:
        if self.is_reserved:
            left = self._until - self._clock()
            raise DeviceReservedError(
                f"{what} refused, nothing was sent: the device is {self.describe()}. It is free when its console is closed, "
                f"or {left:.0f} s after the last exchange"
            )


OWN_COMMANDS = frozenset(commands_of(MaintenanceInterface))
"""Names of the commands of maintenance."""


def find_maintenance(controller: Any) -> Maintenance | None:
    """Returns what a Controller offers for maintenance; None for one without a wire."""
    transport = getattr(controller, "transport", None)
    return Maintenance(transport) if isinstance(transport, DeviceTransport) else None
