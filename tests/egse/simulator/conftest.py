"""Real simulator processes for tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("bench.py")
SPEC = importlib.util.spec_from_file_location("simulator_bench", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
bench: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bench)


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Any]]:
    running: list[Any] = []

    def start(name: str, *options: str) -> Any:
        simulator = bench.RunningSimulator(name, *options)
        running.append(simulator)
        return simulator

    yield start
    for simulator in running:
        assert simulator.end() == 0
