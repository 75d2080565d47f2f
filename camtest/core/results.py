"""Results of a step that a later step needs, also after a restart: kept in the events of the observation.

    store_result("offset", 1003.2)      # in the cell of one step
    offset = stored_result("offset")    # in that of a later one, perhaps in another run that continues this one

Only plain values are stored: numbers, texts, lists and mappings of them.
"""

from __future__ import annotations

import os
from typing import Any

from camtest.core.observation import current_context
from camtest.core.recording import ObservationContext
from camtest.core.values import plain
from camtest.core.variables import CONTINUES_VARIABLE
from egse.archive import Observation

_results: dict[str, dict[str, Any]] = {}
"""Results of this process, by obsid (in a dry run the obsid that no observation has)."""


def store_result(name: str, value: Any) -> None:
    """Stores a result of this step for later ones.

    Args:
        name: of the result.
        value: plain data.

    Raises:
        TypeError: when the value is not plain.
        ObservationError: outside an observation.
    """
    if plain(value) != value and not isinstance(value, tuple):
        raise TypeError(
            f"the result `{name}` must be a number, a text, or a list or mapping of them, got {value!r}"
        )
    context = current_context()
    if isinstance(context, ObservationContext):
        context.mark("result", name=name, value=value)
    _results.setdefault(context.obsid, {})[name] = plain(value)


def stored_result(name: str) -> Any:
    """Returns a result that an earlier step stored, in this run or in those that it continues.

    Raises:
        LookupError: when no earlier step has stored it.
    """
    own = _results.get(current_context().obsid, {})
    if name in own:
        return own[name]
    obsid = os.environ.get(CONTINUES_VARIABLE, "")
    while obsid:
        observation = Observation(obsid)
        found = [
            event["value"] for event in observation.events.where(event="result") if event["name"] == name
        ]
        if found:
            return found[-1]
        info = observation.info
        obsid = str((info.details if info is not None else {}).get("continues", ""))
    raise LookupError(f"no earlier step has stored a result `{name}`")
