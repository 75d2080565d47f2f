"""Long waits are shown below the cell that waits, in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import KernelManager

WAITS = """
import itertools
from camtest.commanding.utilities import wait_until
from camtest.core import waiting
from camtest.core.waiting import SessionClock
from camtest.state import GlobalState

waiting.REPORT_AFTER, waiting.SHOWN_EVERY = 0.2, 0.1
GlobalState.clock = SessionClock(speed=100.0)
asked = itertools.count()
wait_until(lambda: next(asked) > 60, timeout=1000.0, interval=1.0, what="the <lamp>", progress=lambda: 7)
GlobalState.clock.sleep(240.0)
"""


@pytest.fixture
def outputs(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """What a kernel shows while it waits twice."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PLATO", "SITE", "CAMTEST"))
    }
    manager = KernelManager()
    manager.start_kernel(env={**clean, "SITE_ID": "CSL1", "IPYTHONDIR": str(tmp_path / "ipython")})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    shown: list[dict[str, Any]] = []
    client.execute_interactive("%load_ext camtest.jupyter.extension", timeout=60, output_hook=lambda _: None)
    client.execute_interactive(WAITS, timeout=60, output_hook=shown.append)
    yield shown
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    client.context.term()


def test_one_bar_for_each_wait(outputs: list[dict[str, Any]]) -> None:
    errors = [message["content"] for message in outputs if message["msg_type"] == "error"]
    assert not errors
    bars: dict[str, list[dict[str, Any]]] = {}
    for message in outputs:
        if message["msg_type"] in ("display_data", "update_display_data"):
            content = message["content"]
            bars.setdefault(content.get("transient", {}).get("display_id"), []).append(content["data"])
    bars.pop(None, None)  # the banner
    lamp, sleep = bars.values()
    assert lamp[0]["text/plain"].startswith("waiting for the <lamp>: ")
    assert lamp[0]["text/plain"].endswith("s of at most 1000 s, 7")
    assert "the &lt;lamp&gt;" in lamp[0]["text/html"]
    assert 'max="1000.0"' in lamp[0]["text/html"]
    assert lamp[-1]["text/plain"].startswith("done waiting for the <lamp>")
    assert sleep[0]["text/plain"].startswith("waiting for 240 s to pass: ")
    assert len(sleep) > 2, "it moves"
    assert '<progress value="240.0" max="240.0"></progress>' in sleep[-1]["text/html"]
