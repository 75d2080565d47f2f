"""The PUNA hexapod with an Alpha controller: driver, simulator, proxy."""

from __future__ import annotations

from typing import Any, ClassVar

from egse.hexapod.symetrie.alpha_model import PunaModel
from egse.hexapod.symetrie.answers import N, to_numbers
from egse.hexapod.symetrie.controller import HexapodController, HexapodProxy, hexapod_maker, values_of
from egse.hexapod.symetrie.interface import Done, HexapodInterface, State, Validation
from egse.hexapod.symetrie.kinematics import Mode, Six
from egse.hexapod.symetrie.pmac import (
    GETBUFFER,
    LONGEST_REPLY,
    SETTINGS,
    UPLOAD,
    PmacEthernetInterface,
    ask,
    command,
    frame,
    request,
)
from egse.hexapod.symetrie.states import ALPHA_ACTUATOR, ALPHA_GENERAL, VALIDATION, set_bits
from egse.instrument import Simulated

__all__ = [
    "PmacEthernetInterface",
    "PunaController",
    "PunaInterface",
    "PunaProxy",
    "PunaSimulator",
]

CARDS = {"602413": "Turbo PMAC2-VME", "602404": "Turbo PMAC2 Clipper", "603382": "Geo Brick (3U Turbo PMAC2)"}
"""Models by card id."""
DETAILS = ("VERSION", "CPU", "TYPE", "VID", "DATE", "TIME", "TODAY")


class PunaInterface(HexapodInterface):
    """All commands of a PUNA."""


class PunaController(HexapodController, PunaInterface):
    """Talks to a PUNA with an Alpha controller.

    Args:
        hostname, port: of the controller; from the settings when None.
        transport: how to reach it instead.
    """

    network = PmacEthernetInterface
    identity = ("603382",)
    proxy_class = "egse.hexapod.symetrie.puna:PunaProxy"

    SPEC_POS_MAINTENANCE: ClassVar[int] = 0
    SPEC_POS_ZERO: ClassVar[int] = 1
    SPEC_POS_RETRACTED: ClassVar[int] = 2

    def is_simulator(self) -> bool:
        return False

    def identify(self) -> str:
        """Asks for the card id; any known card will do."""
        (card,) = ask(self.transport, "CID")
        return "603382" if card in CARDS else card

    def info(self) -> str:
        (card,) = ask(self.transport, "CID")
        answers = [ask(self.transport, word)[0].strip() for word in DETAILS]
        lines = [f"model   = {CARDS.get(card, 'unknown')}", f"CID     = {card}"]
        lines += [f"{word.lower():<8}= {answer}" for word, answer in zip(DETAILS, answers, strict=True)]
        return "\n".join(["Info about the Hexapod PUNA:", *lines, ""])

    # -- what it is like

    def is_homing_done(self) -> bool:
        return self._ask("Q26", int, 1)[0] == 2

    def is_homing_running(self) -> bool:
        return self._ask("Q26", int, 1)[0] == 1

    def is_in_position(self) -> bool:
        return bool(self._ask("Q36", int, 1)[0] >> 2 & 1)

    def get_user_positions(self) -> list[float]:
        return self._ask("Q53,6,1", float, 6)

    def get_machine_positions(self) -> list[float]:
        return self._ask("Q47,6,1", float, 6)

    def get_actuator_length(self) -> list[float]:
        return self._ask("Q41,6,1", float, 6)

    def get_general_state(self) -> State:
        (number,) = self._ask("Q36", int, 1)
        return number, list(set_bits(number, ALPHA_GENERAL).values())

    def get_actuator_state(self) -> list[State]:
        numbers = self._ask("Q30,6,1", int, 6)
        return [(number, list(set_bits(number, ALPHA_ACTUATOR).values())) for number in numbers]

    def get_debug_info(self) -> list[int]:
        return self._ask("Q26,3,1 Q20", int, 4)

    def get_coordinates_systems(self) -> list[float]:
        return self._results(31, "Q80,12,1", 12)

    def get_speed(self) -> list[float]:
        return self._results(35, "Q80,6,1", 6)

    def get_buffer(self) -> str:
        response = self.transport.query(frame(UPLOAD, GETBUFFER, length=LONGEST_REPLY))
        return response.rstrip(b"\x06").decode("ascii", errors="replace")

    # -- what it does

    def homing(self) -> Done:
        return self._order(1)

    def stop(self) -> Done:
        self._give_up_waiting()
        return self._order(2)

    def activate_control_loop(self) -> Done:
        return self._order(3)

    def deactivate_control_loop(self) -> Done:
        return self._order(4)

    def perform_maintenance(self, axis: int) -> Done:
        return self._order(12, Q80=axis)

    def goto_specific_position(self, pos: int) -> Done:
        return self._after_homing(lambda: self._order(13, Q80=pos))

    def goto_retracted_position(self) -> Done:
        return self.goto_specific_position(self.SPEC_POS_RETRACTED)

    def goto_zero_position(self) -> Done:
        return self.goto_specific_position(self.SPEC_POS_ZERO)

    def clear_error(self) -> Done:
        return self._order(15)

    def configure_coordinates_systems(self, *args: float, **kwargs: float) -> Done:
        twelve = values_of(PunaInterface.configure_coordinates_systems, args, kwargs)
        return self._order(21, **_from(80, twelve))

    def set_speed(self, vt: float, vr: float) -> Done:
        return self._order(25, **_from(80, (vt, vr)))

    def jog(self, axis: int, inc: float) -> Done:
        return self._order(41, Q68=axis, Q69=inc)

    def set_virtual_homing(self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> Done:
        return self._order(42, **_from(71, (tx, ty, tz, rx, ry, rz)))

    def reset(self, wait: bool = True) -> Any:
        with self.transport.lock:
            self.transport.write(request("$$$"))
            self.transport.disconnect()
        return self._later(self._answers, lambda: 0, "the end of the restart") if wait else 0

    # -- parts

    def _move(self, mode: Mode, position: Six) -> Done:
        return self._order(11, Q70=mode, **_from(71, position))

    def _check(self, mode: Mode, position: Six) -> Validation:
        (found,) = self._results(10, "Q29", 1, Q70=mode, **_from(71, position))
        return int(found), set_bits(int(found), VALIDATION)

    def _ask(self, queries: str, kind: type[N], count: int) -> list[N]:
        return to_numbers(ask(self.transport, f"&2 {queries}"), kind, count)

    def _order(self, code: int, **parameters: float) -> int:
        self._results(code, "", 0, **parameters)
        return 0

    def _results(self, code: int, query: str, count: int, **parameters: float) -> list[float]:
        texts = (
            f"{name}={value:d}" if isinstance(value, int) else f"{name}={value:.6f}"
            for name, value in parameters.items()
        )
        line = " ".join(["&2", *texts, f"Q20={code}"])
        return command(self.transport, line, self.clock, query, count)


def _from(first: int, values: Six) -> dict[str, float]:
    """Returns values by the names of successive variables."""
    return {f"Q{first + index}": float(value) for index, value in enumerate(values)}


class PunaSimulator(Simulated, PunaController):
    """The driver joined with a model of the hexapod in the same process; replaces the Controller."""

    model_type = PunaModel


class PunaProxy(HexapodProxy, PunaInterface):
    """Client of the control server of a PUNA with an Alpha controller."""

    settings_name = SETTINGS
    server_name = "puna_cs"


make_controller = hexapod_maker(PunaController, PunaSimulator)
