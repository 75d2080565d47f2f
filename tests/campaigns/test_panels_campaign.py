"""Panels over and over: 100 openings, 100 restarts of a kernel with panels; nothing is left (`make campaign`)."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

from camtest.panels import DevicePanel, HousekeepingPanel, ProcessPanel
from egse.dummy import DummyProxy
from egse.site.layout import SiteLayout

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]

TIMES = 100
OPEN = """
from IPython.display import display
from camtest.panels import DevicePanel, HousekeepingPanel, ProcessPanel
from egse.dummy import DummyProxy
panels = [DevicePanel(DummyProxy()), HousekeepingPanel(), ProcessPanel()]
for panel in panels:
    display(panel)
"""


def eventually(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_openings_leave_nothing(site: SiteLayout) -> None:
    process = psutil.Process()

    def once() -> None:
        for panel in (DevicePanel(DummyProxy()), HousekeepingPanel(), ProcessPanel()):
            panel.close()

    once()
    gc.collect()
    threads, descriptors, memory = threading.active_count(), process.num_fds(), process.memory_info().rss
    for _ in range(TIMES):
        once()
    gc.collect()
    eventually(lambda: threading.active_count() <= threads, "threads are left")
    eventually(lambda: process.num_fds() <= descriptors + 2, "descriptors are left")
    print(f"{TIMES} openings of 3 panels: {(process.memory_info().rss - memory) / 2**20:.1f} MiB more")


def test_restarts_of_a_kernel_leave_nothing(site: SiteLayout) -> None:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    started = time.monotonic()
    try:
        for _ in range(TIMES):
            before = psutil.Process(manager.provisioner.process.pid)
            client = manager.blocking_client()
            client.start_channels()
            client.wait_for_ready(timeout=120)
            answer = client.execute_interactive(OPEN, timeout=120, output_hook=lambda message: None)
            assert answer["content"]["status"] == "ok", answer["content"]
            client.stop_channels()
            manager.restart_kernel(now=False)
            eventually(lambda before=before: not before.is_running(), "a kernel is left")
    finally:
        manager.shutdown_kernel(now=True)
    assert not [p for p in psutil.Process().children(recursive=True) if "ipykernel" in " ".join(p.cmdline())]
    print(f"{TIMES} restarts in {time.monotonic() - started:.0f} s")
