"""What the limit monitor tells Prometheus about its alarms, so that Alertmanager can route them."""

from __future__ import annotations

from collections.abc import Iterable

from egse.metrics.figures import Figure


def alarm_figures(alarms: Iterable[tuple[str, str, bool]]) -> list[Figure]:
    """Returns the metric `egse_alarm_active`, which the rule `LimitAlarm` looks at.

    Args:
        alarms: name, priority (warning, alarm, critical) and whether somebody has acknowledged it, of each alarm that is
            raised and not shelved.
    """
    samples = tuple(
        ({"alarm": name, "priority": priority, "acknowledged": str(acknowledged).lower()}, 1.0)
        for name, priority, acknowledged in alarms
    )
    return [Figure("egse_alarm_active", "1 while this alarm of the limit monitor is raised", samples)]
