"""The BENCH_PSU control server: `bench_psu_cs start [--simulator] | stop | status`."""

from __future__ import annotations

from egse.control import ControlServerApp
from egse.instrument import maker

from bench_psu.bench_psu import (
    BenchPsuController,
    BenchPsuInterface,
    BenchPsuSimulator,
)
from bench_psu.bench_psu_devif import SETTINGS
from bench_psu.bench_psu_protocol import BenchPsuProtocol

APP = ControlServerApp(
    name="bench_psu_cs",
    settings=SETTINGS,
    title="BENCH_PSU",
    interface=BenchPsuInterface,
    controller=maker(BenchPsuController, BenchPsuSimulator),
    protocol=BenchPsuProtocol,
    proxy="bench_psu:BenchPsuProxy",
    device=True,
)

if __name__ == "__main__":
    APP.main()
