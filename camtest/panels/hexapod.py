"""The panel of a hexapod: states, positions, moves, configuration, states of the actuators, a sketch of the platform.

It has two connections: what may have to wait (a move, a homing) goes over one; looking at the states and STOP over the other.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.device import DevicePanel
from camtest.panels.hexapod_view import lamps_of, matrix_html, sketch
from camtest.panels.local import LocalPanel
from camtest.panels.panel import fresh
from camtest.panels.threads import Commanding, weak
from egse.command import CommandError
from egse.hexapod.symetrie.mechanisms import JORAN, PUNA, ZONDA
from egse.proxy import Proxy

MECHANISMS = {"puna_cs": PUNA, "puna_plus_cs": PUNA, "zonda_cs": ZONDA, "joran_cs": JORAN}
AXES = ("X", "Y", "Z", "Rx", "Ry", "Rz")
ARGUMENTS = ("tx", "ty", "tz", "rx", "ry", "rz")
MODES = {
    "Absolute": ("move_absolute", "check_absolute_movement"),
    "Relative user": ("move_relative_user", "check_relative_user_movement"),
    "Relative object": ("move_relative_object", "check_relative_object_movement"),
}
SPECIFIC = {"ZERO": "goto_zero_position", "RETRACTED": "goto_retracted_position"}
WITHOUT_PLUG = ("stop", "is_connected", "connect")
"""Commands that a panel sends over its second connection also while it is disconnected: STOP always works."""
LOOK = 1.0
"""Pause between two looks at the states [s]."""
LOOK_AGAIN = 5.0
"""The same after a failure [s]."""


class SixFields(widgets.VBox):  # type: ignore[misc]
    """Six numbers, X Y Z [mm] and Rx Ry Rz [deg]."""

    def __init__(self, title: str) -> None:
        self.fields = [
            widgets.FloatText(
                description=f"{axis} [{'deg' if axis.startswith('R') else 'mm'}]",
                layout=widgets.Layout(width="14em"),
            )
            for axis in AXES
        ]
        super().__init__([widgets.HTML(f"<b>{title}</b>"), *self.fields])

    @property
    def numbers(self) -> list[float]:
        """The six numbers."""
        return [float(field.value) for field in self.fields]

    @numbers.setter
    def numbers(self, values: Sequence[float]) -> None:
        for field, value in zip(self.fields, values, strict=True):
            field.value = round(float(value), 6)


class HexapodFace(DevicePanel):
    """What the panel of a hexapod shows and does, with or without its control server."""

    name: ClassVar[str] = "hexapod"
    plugged = True
    """False after "Disconnect": nothing is looked at or commanded but STOP."""

    # -- two connections ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._looked_at = 0.0
        self._second: Proxy | None = None
        self._watching = Commanding(f"{self.name}-watching", _nothing, weak(self._failed_to_look))
        self._end_watching = weakref.finalize(self, self._watching.end)
        super()._start()
        self._watching.start()

    def close(self) -> None:
        self._end_watching()
        super().close()
        if self._second is not None:
            self._second.disconnect_cs()

    def _call(self, command: str, *arguments: float) -> Any:
        """Calls a command of the device over the second connection."""
        self._check_plug(command)
        if self._second is None:
            self._second = fresh(self.proxy)
        return getattr(self._second, command)(*arguments)

    def _check_plug(self, command: str) -> None:
        if not self.plugged and command not in WITHOUT_PLUG:
            raise CommandError(f"{command}: this panel is disconnected; press Reconnect")

    def _refresh(self) -> None:
        if not self.plugged:
            return
        if self.telemetry.alive and time.monotonic() - self._looked_at >= LOOK:
            self._looked_at = time.monotonic()
            self._watching.put("?states", weak(self._look), weak(self._looked))
        super()._refresh()

    def _look(self) -> Any:
        return (self._call("get_general_state"), self._call("get_actuator_state")) if self.plugged else None

    def _looked(self, found: Any) -> None:
        if found is None:
            return
        self.general, actuators = found
        self.matrix.value = matrix_html(actuators)
        machine = self._positions("MACH")
        if machine:
            self.picture.value = sketch(machine, MECHANISMS[self.proxy.server_name].legs)
        self._listening.wake()

    def _failed_to_look(self, error: Exception, what: str) -> None:
        self._looked_at = time.monotonic() + LOOK_AGAIN - LOOK
        self.report(error, what)

    # -- what is shown -----------------------------------------------------------------------------------------------

    general: Any = None

    def _positions(self, part: str) -> list[float]:
        """Returns the six numbers of `USER`, `MACH` or `ALEN` of the newest row; empty when there is none."""
        return [float(value) for name, value in self.telemetry.row.items() if f"_{part}_" in name]

    @property
    def mode_text(self) -> str:
        """By which way the panel reaches the hexapod."""
        return "Proxy"

    def _state(self) -> BoardState:
        state = super()._state()
        if self.plugged:
            return state
        return replace(state, alive=False, note="disconnected by hand: press Reconnect; what is below is old")

    def _lamps(self) -> list[Lamp]:
        states = lamps_of(self.general) if self.general is not None else []
        return [Lamp("MODE", "info", self.mode_text), *super()._lamps(), *states]

    def _values(self) -> list[Value]:
        found = []
        for title, part in (("Object [in User]", "USER"), ("Platform [in Machine]", "MACH")):
            for axis, number in zip(AXES, self._positions(part), strict=False):
                found.append(
                    Value(f"{title} {axis}", f"{number:.4f}", "deg" if axis.startswith("R") else "mm")
                )
        for leg, number in enumerate(self._positions("ALEN"), start=1):
            found.append(Value(f"Actuator Length L{leg}", f"{number:.4f}", "mm"))
        return [*found, *super()._values()]

    # -- controls ----------------------------------------------------------------------------------------------------

    def _body(self) -> list[widgets.Widget]:
        self.matrix, self.picture = widgets.HTML(matrix_html(())), widgets.HTML()
        self.verdict = widgets.HTML()
        return super()._body()

    def _controls(self) -> list[widgets.Widget]:
        self.plug = self.button("Disconnect", self._pull_or_plug)
        self._show_plug()
        buttons = (
            self.button("STOP", self._stop, style="danger", hint="Stop the motion now"),
            self.button("Control on", self._control_on, hint="Switch the servo loops on"),
            self.button("Control off", self._control_off, hint="Switch the servo loops off"),
            self.button("Homing", self._homing, hint="Do the homing; it takes two minutes"),
            self.button("Clear errors", self._clear, hint="Clear errors whose cause is gone"),
            self.plug,
        )
        return [widgets.HBox(buttons)]

    def _further_tabs(self) -> dict[str, widgets.Widget]:
        if not hasattr(self, "_tabs"):
            self._tabs = {
                "Positions": self._make_positions(),
                "Configuration": self._make_configuration(),
                "Advanced State": self.matrix,
                "Sketch": self.picture,
            }
        return self._tabs

    def _make_positions(self) -> widgets.Widget:
        self.manual = SixFields("Manual mode")
        self.mode = widgets.Dropdown(options=list(MODES), description="Mode")
        self.specific = widgets.Dropdown(options=list(SPECIFIC), description="Specific")
        buttons = [
            self.button("Copy", self._copy, hint="Take the present position of the object"),
            self.button("Clear", self._clear_fields, hint="All fields zero"),
            self.button("Move", self._move, style="primary", hint="Move as the fields say"),
            self.button("Validate Movement...", self._validate, hint="Would it be feasible? Nothing moves"),
            self.verdict,
        ]
        to = self.button("Move To", self._move_to, style="primary", hint="Move to the specific position")
        right = widgets.VBox([self.mode, *buttons, widgets.HBox([self.specific, to])])
        return widgets.HBox([self.manual, right])

    def _make_configuration(self) -> widgets.Widget:
        self.user, self.object = SixFields("User frame, in Machine"), SixFields("Object frame, in Platform")
        self.vt = widgets.FloatText(description="vt [mm/s]", layout=widgets.Layout(width="14em"))
        self.vr = widgets.FloatText(description="vr [deg/s]", layout=widgets.Layout(width="14em"))
        between = widgets.VBox(
            [
                self.button(">>", self._user_to_object, hint="Copy the fields to the right"),
                self.button("<<", self._object_to_user, hint="Copy the fields to the left"),
            ]
        )
        frames = widgets.HBox(
            [
                self.button("Fetch", self._fetch_frames, hint="Ask the controller"),
                self.button("Apply", self._apply_frames, style="warning", hint="Volatile: lost at power-off"),
            ]
        )
        speeds = widgets.HBox(
            [
                self.vt,
                self.vr,
                self.button("Fetch", self._fetch_speed, hint="Ask the controller"),
                self.button("Apply", self._apply_speed, hint="The controller clips it to its limits"),
            ]
        )
        return widgets.VBox([widgets.HBox([self.user, between, self.object]), frames, speeds])

    # -- what buttons do ---------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._watching.put("stop()", weak(self._stop_now), weak(self._stopped))

    def _stop_now(self) -> Any:
        return self._call("stop")

    def _stopped(self, result: Any) -> None:
        self._then("stop()", None)(result)

    def _control_on(self) -> None:
        self.send("activate_control_loop", {}, confirm=False)

    def _control_off(self) -> None:
        self.send("deactivate_control_loop", {}, confirm=True)

    def _homing(self) -> None:
        self.send("homing", {})

    def _clear(self) -> None:
        self.send("clear_error", {}, confirm=False)

    def send(self, name: str, arguments: dict[str, Any], confirm: bool | None = None) -> None:
        self._check_plug(name)
        super().send(name, arguments, confirm)

    def _pull_or_plug(self) -> None:
        if self.plugged:
            self.plugged = False
            self._show_plug()
            self.command("disconnect", self.proxy.disconnect_cs)
            self._watching.put("disconnect", weak(self._pull_second), weak(self._looked))
        else:
            self.command("reconnect", self._plug_in, self._plugged_in)

    def _show_plug(self) -> None:
        self.plug.description = "Disconnect" if self.plugged else "Reconnect"
        self.plug.tooltip = (
            "Give up the connections of this panel; STOP still works"
            if self.plugged
            else "Connect this panel again, and the server to the device when it has lost it"
        )

    def _pull_second(self) -> None:
        (self._second or self.proxy).disconnect_cs()

    def _plug_in(self) -> None:
        self.proxy.reconnect_cs()
        if not self._call("is_connected"):
            self._call("connect")

    def _plugged_in(self, _done: None) -> None:
        self.plugged = True
        self._show_plug()

    def _copy(self) -> None:
        position = self._positions("USER")
        if position:
            self.manual.numbers = position

    def _clear_fields(self) -> None:
        self.manual.numbers = [0.0] * 6

    def _move(self) -> None:
        self.send(MODES[self.mode.value][0], dict(zip(ARGUMENTS, self.manual.numbers, strict=True)))

    def _validate(self) -> None:
        numbers, check = self.manual.numbers, MODES[self.mode.value][1]
        self.command(f"?{check}", lambda: self._call(check, *numbers), self._show_verdict)

    def _show_verdict(self, found: Any) -> None:
        number, texts = found
        if number:
            self.verdict.value = f'<span data-verdict="bad">✗ {"; ".join(map(str, texts.values()))}</span>'
        else:
            self.verdict.value = '<span data-verdict="ok">✓ feasible</span>'

    def _move_to(self) -> None:
        self.send(SPECIFIC[self.specific.value], {})

    def _user_to_object(self) -> None:
        self.object.numbers = self.user.numbers

    def _object_to_user(self) -> None:
        self.user.numbers = self.object.numbers

    def _fetch_frames(self) -> None:
        self.command("?frames", lambda: self._call("get_coordinates_systems"), self._show_frames)

    def _show_frames(self, twelve: Sequence[float]) -> None:
        self.user.numbers, self.object.numbers = twelve[:6], twelve[6:]

    def _apply_frames(self) -> None:
        names = [f"{name}_{end}" for end in "uo" for name in ARGUMENTS]
        values = [*self.user.numbers, *self.object.numbers]
        self.send("configure_coordinates_systems", dict(zip(names, values, strict=True)), confirm=True)

    def _fetch_speed(self) -> None:
        self.command("?speed", lambda: self._call("get_speed"), self._show_speed)

    def _show_speed(self, found: Any) -> None:
        values = list(found.values()) if isinstance(found, dict) else found
        self.vt.value, self.vr.value = values[:2]

    def _apply_speed(self) -> None:
        self.send("set_speed", {"vt": float(self.vt.value), "vr": float(self.vr.value)}, confirm=False)


class HexapodPanel(HexapodFace):
    """Panel of a hexapod behind its control server.

    Args:
        proxy: of a hexapod.
        title: shown above; by default the name of the server.
    """


class LocalHexapodPanel(HexapodFace, LocalPanel):
    """Panel of a hexapod without its control server."""

    @property
    def mode_text(self) -> str:
        return "Simulator" if self.device.simulator else "Direct"

    def _plug_in(self) -> None:
        self._call("connect")

    def _call(self, command: str, *arguments: float) -> Any:
        self._check_plug(command)
        names = [parameter.name for parameter in self.commands[command].parameters]
        return self.device.execute(command, dict(zip(names, arguments, strict=True)))


def _nothing(_what: str) -> None:
    """Nobody is told what is looked at."""
