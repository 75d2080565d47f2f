"""Keeps the count of image cycles where a successor finds it: of a processor or a control server that was killed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec

from egse.dpu.recorder import SPOOL_FOLDER
from egse.files import make_folder, write_atomically

LOGGER = logging.getLogger(__name__)

NAME = "count.json"


class _Count(msgspec.Struct):
    num_cycles: int
    frame_counter: int


class CountFile:
    """`spool/dpu/count.json` below the data folder of the site; there only while image cycles are counted.

    Args:
        root: data folder of the site.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / SPOOL_FOLDER / NAME

    def keep(self, values: dict[str, Any]) -> None:
        """Keeps `num_cycles` and `frame_counter`, see `egse.dpu.sink.DPUSink.counting`; failures are logged."""
        try:
            if values["num_cycles"] > 0:
                make_folder(self._path.parent)
                write_atomically(self._path, msgspec.json.encode(values), durable=False)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as exc:
            LOGGER.error("the count of image cycles could not be kept: %s", exc)

    def read(self) -> dict[str, int] | None:
        """Returns what was kept last; None when nothing is counted, or it cannot be read (logged)."""
        try:
            return msgspec.to_builtins(msgspec.json.decode(self._path.read_bytes(), type=_Count))  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as exc:
            LOGGER.error("the count of image cycles in %s cannot be read: %s", self._path, exc)
            return None
