"""The long form of the state machine of the verbs: hypothesis looks for an order of things that makes a record untrue."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.camtest.core.test_verbs_state_machine import Verbs

MINUTES = float(os.environ.get("CAMTEST_VERBS_MINUTES", "15"))
"""How long it looks [min]."""

LONG = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)


@pytest.mark.campaign
def test_verbs_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Each round looks elsewhere: nothing is kept of the one before."""
    rounds, observations, ended = 0, 0, time.monotonic() + 60 * MINUTES

    class Counted(Verbs):
        def teardown(self) -> None:
            nonlocal observations
            observations += len(self.ends) if hasattr(self, "ends") else 0
            super().teardown()

    while time.monotonic() < ended:
        run_state_machine_as_test(Counted, settings=LONG)  # type: ignore[no-untyped-call]
        rounds += 1
    with capsys.disabled():
        print(f"\n{rounds * LONG.max_examples} sequences of up to 50 steps, {observations} observations")
    assert observations > 0
