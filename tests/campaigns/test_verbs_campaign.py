"""The long form of the state machine of the verbs: hypothesis looks for an order of things that makes a record untrue."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.camtest.core.test_verbs_state_machine import Verbs

MINUTES = float(os.environ.get("CAMTEST_VERBS_MINUTES", "15"))
"""How long it looks [min]."""

LONG = settings(
    max_examples=20,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)


@pytest.mark.campaign
def test_verbs_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Each round looks elsewhere: nothing is kept of the one before."""
    counts = {"sequences": 0, "steps": 0, "observations": 0}

    class Counted(Verbs):
        @invariant()
        def count(self) -> None:
            counts["steps"] += 1

        def teardown(self) -> None:
            counts["sequences"] += 1
            counts["observations"] += len(getattr(self, "ends", ()))
            super().teardown()

    started = time.monotonic()
    while time.monotonic() < started + 60 * MINUTES:
        run_state_machine_as_test(Counted, settings=LONG)  # type: ignore[no-untyped-call]
    took = time.monotonic() - started
    with capsys.disabled():
        print(f"\n{took:.0f} s: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    assert counts["observations"] > 0
