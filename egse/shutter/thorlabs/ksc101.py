"""Driver of the Thorlabs KSC101 shutter controller: Controller, Simulator, Proxy and how they are made.

The controller is a virtual serial line on USB: `DEVICE_RESOURCE: serial:/dev/ttyUSB0?baud=115200&rtscts=1` in the settings; the
simulator is on TCP. It acknowledges nothing: the driver reads back what it has set.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Literal

from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy
from egse.shutter.thorlabs.apt import Frame, frame_length
from egse.shutter.thorlabs.interface import ShutterKSC101Interface
from egse.shutter.thorlabs.messages import (
    CLOSED,
    CYCLE,
    INFO,
    OFF,
    ON,
    OPEN,
    STATUS,
    STATUS_INTERLOCK,
    STATUS_OPEN,
    KSC101Error,
    Message,
    Mode,
)
from egse.shutter.thorlabs.model import PORT, SERIAL_NUMBER, ShutterKSC101Model

SETTINGS = "KSC101 Control Server"
CHANNEL = 1
UNREQUESTED = 20
"""So many frames that nobody asked for may come before an answer."""


class ShutterKSC101EthernetInterface(NetworkInterface):
    """The network port of the simulator."""

    wire = Wire(SETTINGS, PORT, command_end=b"", reply_length=frame_length, timeout=2.0)


class ShutterKSC101Controller(InstrumentController, ShutterKSC101Interface):
    """Talks to a shutter controller."""

    network = ShutterKSC101EthernetInterface
    identity = ("KSC101",)
    proxy_class = "egse.shutter.thorlabs.ksc101:ShutterKSC101Proxy"

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return f" {SERIAL_NUMBER} " in self.info()

    def identify(self) -> str:
        """Asks the controller what it is."""
        return self.info()

    def blink(self) -> None:
        self.transport.write(Frame(Message.IDENTIFY, CHANNEL).pack())

    def info(self) -> str:
        serial, model, _, minor, interim, major, *_ = self._fields(INFO, Message.REQ_INFO)
        name = model.rstrip(b"\0 ").decode("ascii", "replace")
        return f"{name} {serial} {major}.{interim}.{minor}"

    def set_mode(self, mode: Literal["manual", "single", "auto", "trigger"]) -> None:
        self._set(Message.SET_MODE, Mode[mode.upper()])

    def get_mode(self) -> int:
        return self._ask(Message.REQ_MODE).param2

    def set_enable(self, enable: bool) -> None:
        with self.transport.lock:
            self.transport.write(Frame(Message.SET_STATE, CHANNEL, OPEN if enable else CLOSED).pack())
            if enable and not self.get_status()["interlock"] and self.get_interlock():
                raise KSC101Error("the shutter stays closed: its interlock is open")

    def get_enable(self) -> int:
        return self._ask(Message.REQ_STATE).param2

    def set_cycle(self, on: int, off: int, number: int) -> None:
        with self.transport.lock:
            data = CYCLE.pack(CHANNEL, on, off, number)
            self.transport.write(Frame(Message.SET_CYCLE, data=data).pack())
            if tuple(self.get_cycle().values()) != (on, off, number):
                raise KSC101Error(f"the shutter controller did not take {on} ms, {off} ms, {number} cycles")

    def get_cycle(self) -> dict[str, int]:
        _, on, off, number = self._fields(CYCLE, Message.REQ_CYCLE)
        return {"Ontime": on, "Offtime": off, "Number of cycles": number}

    def set_interlock(self, required: bool) -> None:
        self._set(Message.SET_INTERLOCK, ON if required else OFF)

    def get_interlock(self) -> bool:
        return self._ask(Message.REQ_INTERLOCK).param2 == ON

    def set_channel(self, enabled: bool) -> None:
        self._set(Message.SET_ENABLE, ON if enabled else OFF)

    def get_channel(self) -> bool:
        return self._ask(Message.REQ_ENABLE).param2 == ON

    def get_status(self) -> dict[str, Any]:
        _, bits = self._fields(STATUS, Message.REQ_STATUS)
        return {"open": bool(bits & STATUS_OPEN), "interlock": bool(bits & STATUS_INTERLOCK)}

    # -- frames

    def _ask(self, request: Message) -> Frame:
        """Asks and returns the answer, past what the device sends by itself."""
        with self.transport.lock:
            self.transport.write(Frame(request, CHANNEL).pack())
            for _ in range(UNREQUESTED):
                reply = self.transport.read()
                frame = Frame.unpack(reply)
                if frame.id == request + 1:
                    return frame
        raise self._nonsense(reply)

    def _set(self, message: Message, value: int) -> None:
        """Sets a value and reads it back; the question has the id after that of the command."""
        with self.transport.lock:
            self.transport.write(Frame(message, CHANNEL, value).pack())
            found = self._ask(Message(message + 1)).param2
        if found != value:
            raise KSC101Error(f"the shutter controller has {found} after {message.name} {value}")

    def _fields(self, layout: Struct, request: Message) -> tuple[Any, ...]:
        data = self._ask(request).data or b""
        if len(data) != layout.size:
            raise self._nonsense(data)
        return tuple(layout.unpack(data))

    def _nonsense(self, reply: bytes) -> KSC101Error:
        return KSC101Error(f"the shutter controller answered {reply.hex(' ')}, which makes no sense here")


class ShutterKSC101Simulator(Simulated, ShutterKSC101Controller):
    """The driver joined with a model of the controller in the same process; replaces the Controller."""

    model_type = ShutterKSC101Model


class ShutterKSC101Proxy(DynamicProxy, ShutterKSC101Interface):
    """Client of the shutter's control server."""

    settings_name = SETTINGS
    server_name = "ksc101_cs"


make_controller = maker(ShutterKSC101Controller, ShutterKSC101Simulator)
