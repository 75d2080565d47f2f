"""What ZONDA and JORAN have beyond a PUNA with the same controller: speeds by name, and sequences of positions."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Annotated

from egse.command import Range, Unit, dynamic_interface
from egse.deferral import deferred
from egse.hexapod import HexapodError
from egse.hexapod.symetrie.alphaplus import AlphaPlusController, AlphaPlusInterface
from egse.hexapod.symetrie.controller import in_background
from egse.hexapod.symetrie.interface import Done
from egse.hexapod.symetrie.states import RETURN_CODES

LOGGER = logging.getLogger(__name__)

SPEEDS = ("vt", "vr", "vtmin", "vrmin", "vtmax", "vrmax")
LOOK_AGAIN = 0.5
"""The end of a move of a sequence is looked for so often [s]."""


class BigInterface(AlphaPlusInterface):
    """All commands of a ZONDA or a JORAN."""

    @deferred
    @dynamic_interface
    def sequence(self, file_path: str, time_sleep: Annotated[float, Range(0), Unit("s")]) -> Done:
        """Goes through positions in a file, one after the other; all of them are checked before the first move.

        Args:
            file_path: text with six columns tx ty tz [mm] rx ry rz [deg] in the user frame, on the machine of the server;
                `#` begins a remark.
            time_sleep: how long to stay at each position.

        Raises:
            HexapodError: when a row is no position or cannot be reached (nothing moves then), or a move is refused.
        """


class BigController(AlphaPlusController, BigInterface):
    """Talks to a ZONDA or a JORAN, which have the credentials of the factory."""

    def get_speed(self) -> dict[str, float]:
        values = self._results("CFG_SPEED", 6, cfg=0)
        return dict(zip(SPEEDS, values, strict=True))

    def sequence(self, file_path: str, time_sleep: float) -> Done:
        rows = read_positions(Path(file_path))
        for number, row in enumerate(rows, start=1):
            found, texts = self.check_absolute_movement(*row)
            if found:
                raise HexapodError(f"position {number} {row} of {file_path} cannot be reached: {texts}")

        def work() -> Done:
            for number, row in enumerate(rows, start=1):
                LOGGER.info("sequence %s: position %d of %d", file_path, number, len(rows))
                self._visit(row, time_sleep)
            return 0, RETURN_CODES[0]

        if self.is_served:
            return in_background(work)  # type: ignore[return-value]  # the command is deferred
        return work()

    def stop(self) -> Done:
        self._stops += 1
        return super().stop()

    _stops = 0

    def _visit(self, row: list[float], pause: float) -> None:
        stops = self._stops
        self.move_ptp(0, *row)
        while not self.is_in_position() and self._stops == stops:
            self.clock.sleep(LOOK_AGAIN)
        if self._stops != stops:
            raise HexapodError("the sequence was stopped")
        self.clock.sleep(pause)


def read_positions(path: Path) -> list[list[float]]:
    """Reads rows of six numbers.

    Raises:
        HexapodError: when the file cannot be read or has something else in it.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as exc:
        raise HexapodError(f"the sequence {path} cannot be read: {exc}") from exc
    rows = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != 6 or not all(map(math.isfinite, row)):
            raise HexapodError(f"{path}:{number}: expected six numbers, got {line.strip()!r}")
        rows.append(row)
    return rows
