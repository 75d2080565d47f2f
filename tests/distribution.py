"""How `pytest -n ... --dist loadfile` shares out the tests: each file stays together, as ever, and beyond that

- all files that use the running sandbox of the session are done by one worker, so that there is one sandbox, and one
  run of the main job, however many workers there are;
- that worker begins with them; of the others one does slow files and the rest quick ones, so that failures of quick
  tests are seen early, processor and waiting are used side by side, and no slow file is left for the end;
- the other workers give way to it: cycles of the sandbox take 1.25 s, in which its programs must get their turn.

`SHARED` and `SLOW` say which files these are. Both are a matter of speed only (see `--durations`); a file
that is missing in `SHARED` is told in a warning.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

SHARED = (
    "tests/egse/dpu/test_dpu_maps.py",
    "tests/egse/dpu/test_dpu_server.py",
    "tests/egse/dpu/test_dpu_tickets.py",
    "tests/egse/dpu/test_n_fee_hk.py",
    "tests/egse/site/test_doctor.py",
    "tests/egse/site/test_real_servers.py",
    "tests/egse/storage/test_through_the_server.py",
    "tests/egse/synoptics/test_syn_cs.py",
    "tests/system/test_camera_link.py",
    "tests/system/test_dry_run.py",
    "tests/system/test_front_ends.py",
    "tests/system/test_kernel.py",
    "tests/system/test_killed_services.py",
    "tests/system/test_lost_clients.py",
    "tests/system/test_main_job.py",
    "tests/system/test_papermill.py",
    "tests/system/test_procedures.py",
    "tests/system/test_verification.py",
    "tests/system/test_notebooks.py",
    "tests/system/test_tasks.py",
    "tests/camtest/jupyter/test_session.py",
    "tests/system/test_prometheus.py",
    "tests/system/test_cockpit.py",
    "tests/camtest/panels/test_panels_in_sandbox.py",
    "tests/browser/test_pages.py",
    "tests/browser/test_panels_in_jupyterlab.py",
)
"""Files with tests in the running sandbox of the session, in the order in which they are done: those that move the equipment
or stop servers by hand come last."""

SLOW = (
    "tests/camtest/run/test_run_system.py",
    "tests/camtest/core/test_watchdog_system.py",
    "tests/egse/procman/test_process_manager.py",
    "tests/egse/confman/test_setups_as_processes.py",
    "tests/browser/test_tasks_browser.py",
    "tests/camtest/run/test_engine.py",
    "tests/camtest/tasks/test_run_modes.py",
    "tests/camtest/run/test_batch.py",
    "tests/egse/dpu/test_dpu_processor.py",
    "tests/egse/dummy/test_dummy_listens.py",
    "tests/camtest/run/test_steps.py",
    "tests/system/test_camera_power.py",
    "tests/egse/cli/test_new_device.py",
    "tests/campaigns/test_camera_faults.py",
    "tests/campaigns/test_camera_endurance.py",
    "tests/campaigns/test_storage_faults.py",
    "tests/egse/site/test_backup.py",
    "tests/egse/confman/test_core_services_as_processes.py",
    "tests/campaigns/test_log_faults.py",
    "tests/camtest/run/test_queue.py",
    "tests/browser/test_kernels.py",
    "tests/camtest/jupyter/test_sandbox_kernel.py",
)
"""Other files that take long, the longest first."""

_SANDBOX = "the sandbox"
_NICENESS = 5


def file_of(nodeid: str) -> str:
    """Returns the file that a test is in."""
    return nodeid.partition("::")[0]


def uses_sandbox(item: pytest.Item) -> bool:
    """Returns True when a test needs the running sandbox of the session."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.get("sandbox", ()) if info is not None else ()
    return any(fixture.scope == "session" for fixture in found)


def sort_shared(items: list[pytest.Item]) -> None:
    """Puts the tests in the running sandbox into the order of `SHARED`, behind all others."""
    place = {file: number for number, file in enumerate(SHARED, 1)}
    items.sort(key=lambda item: place.get(file_of(item.nodeid), 0))


def check_shared(items: list[pytest.Item]) -> None:
    """Warns of files that are missing in `SHARED`: another worker would start a sandbox for them."""
    missing = {file_of(item.nodeid) for item in items if uses_sandbox(item)} - set(SHARED)
    if missing:
        text = f"not in SHARED of {Path(__file__).name}, but use the running sandbox: {', '.join(sorted(missing))}"
        warnings.warn(text, pytest.PytestCollectionWarning, stacklevel=1)


class Precedence:
    """Of several workers, the one that begins with the sandbox has precedence: the others are nice (in the sense of nice(1)).

    Args:
        config: of this process.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._decided = not hasattr(config, "workerinput")

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Decides at the first test."""
        if not self._decided:
            self._decided = True
            if file_of(item.nodeid) not in SHARED:
                os.nice(_NICENESS)


def make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns the scheduler of pytest-xdist for `--dist loadfile`."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = file_of(nodeid)
            return _SANDBOX if file in SHARED else file

        def _assign_work_unit(self, node: Any) -> None:
            self.workqueue.move_to_end(self._next(node), last=False)
            super()._assign_work_unit(node)

        def _next(self, node: Any) -> str:
            if _SANDBOX in self.workqueue:
                return _SANDBOX
            slow = [file for file in SLOW if file in self.workqueue]
            quick = next((file for file in self.workqueue if file not in SLOW), None)
            if slow and (quick is None or not self._others_are_slow(node)):
                return slow[0]
            return quick or slow[0]

        def _others_are_slow(self, node: Any) -> bool:
            return any(
                file in SLOW and not all(tests.values())
                for other, work in self.assigned_work.items()
                if other is not node
                for file, tests in work.items()
            )

    config.option.loadscopereorder = False
    return Scheduling(config, log)
