"""The light that falls on the simulated power meter when other simulated devices stand before it, as in a dry run.

Own proposal: the meter is behind the lamp, the shutter and the filter wheels, as far as they are there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

FULL_POWER: Final = 100e-6
"""Of the lamp without anything before the meter [W]."""
SOURCES: Final = ("eq99", "ogse")
ATTENUATORS: Final = ("ksc101", "fw8smc4", "fw8smc5")
"""Models by the names of their servers: sources have `flux(now)`, attenuators `transmission(now)`, both 0..1."""


def light(others: Mapping[str, Any], now: float) -> float | None:
    """Returns the power of the light [W], None when no other device says anything about it.

    Args:
        others: models that share this dry run, by the names of their servers without `_cs`.
        now: when [s].
    """
    factors = [others[name].flux(now) for name in SOURCES if name in others][:1]
    factors += [others[name].transmission(now) for name in ATTENUATORS if name in others]
    return FULL_POWER * math.prod(factors) if factors else None
