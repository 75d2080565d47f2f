"""Red lines: what an operator does otherwise than the procedure says, taken with a reason and a second name.

    red_line("skipped", "3. Light", reason="lamp is in repair", second="M. Curie")
    red_line("changed", "attenuation", planned=0.1, actual=0.2, reason="too dark", second="M. Curie")
    with red_line("added", "warm up once more", reason="not settled", second="M. Curie"):
        tempcontrol.heat(temperature=20.0)

They stand in the events and in the manifest of the observation, and stand out in its report and in every diff.
"""

from __future__ import annotations

import getpass
import time
from contextvars import Token
from typing import Any, Literal, Self

from camtest.core.context import ACTIVE, RED_LINE
from camtest.core.observation import current_context
from camtest.core.recording import ObservationContext
from camtest.core.values import plain
from egse.context import command_origin

RedLineKind = Literal["changed", "skipped", "added"]
KINDS = ("changed", "skipped", "added")
EVENT, END_EVENT = "red-line", "red-line-end"


class RedLineError(ValueError):
    """A red line lacks what makes it one: kind, reason, or a second person."""


class red_line:
    """Takes a deviation from the procedure, at once; as a context manager what is done inside belongs to it.

    Args:
        kind: `changed` (a value), `skipped` (a step) or `added` (a step).
        what: which value or step, as the procedure calls it.
        reason: why.
        second: name of the second person who agrees, another one than the operator.
        planned, actual: values before and after, of what was changed.
        name: name of the operator, by default that of this account.

    Raises:
        RedLineError: when something is missing, or both names are the same.
        ObservationError: outside of an observation.
    """

    def __init__(
        self,
        kind: RedLineKind,
        what: str,
        *,
        reason: str,
        second: str,
        planned: Any = None,
        actual: Any = None,
        name: str = "",
    ) -> None:
        first = name.strip() or getpass.getuser()
        _check(kind, what, reason, first, second)
        told = {
            "what": what.strip(),
            "planned": plain(planned),
            "actual": plain(actual),
            "reason": reason.strip(),
            "by": first,
            "second": second.strip(),
        }
        self._context = current_context()
        self.arguments = {key: value for key, value in told.items() if value is not None}
        sequence = self._context.sequence
        self.number = 1 + sum(entry.kind == "red-line" for entry in sequence.walk())
        self.mark = f"{self.number} {kind}"
        self._token: Token[str] | None = None
        calls = ACTIVE.get()
        entry = sequence.add(
            self._context.entry_of(calls[-1]) if calls else None,
            "red-line",
            kind,
            start=self._context.elapsed,
            arguments=self.arguments,
            red_line=self.mark,
        )
        entry.end = entry.start
        call = {"call": calls[-1].number} if calls else {}
        self._record(EVENT, kind=kind, origin=command_origin(), **self.arguments, **call)

    def _record(self, event: str, **fields: Any) -> None:
        if isinstance(self._context, ObservationContext):
            self._context.mark(event, number=self.number, **fields)

    def __repr__(self) -> str:
        return f"<red line {self.mark}: {self.arguments['what']}, {self.arguments['reason']}>"

    def __enter__(self) -> Self:
        self._token = RED_LINE.set(self.mark)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            RED_LINE.reset(self._token)
            self._token = None
        self._record(END_EVENT, at=time.time())


def _check(kind: str, what: str, reason: str, first: str, second: str) -> None:
    if kind not in KINDS:
        raise RedLineError(f"{kind!r} is no kind of red line; use {', '.join(KINDS)}")
    missing = [
        name for name, text in (("what", what), ("reason", reason), ("second", second)) if not text.strip()
    ]
    if missing:
        raise RedLineError(f"a red line needs {' and '.join(f'`{name}`' for name in missing)}")
    if first.casefold() == second.strip().casefold():
        raise RedLineError(f"a red line needs two persons; {second.strip()} is the operator")
