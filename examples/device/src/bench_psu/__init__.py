"""BENCH_PSU: driver, simulator and control server for the Common-EGSE."""

from bench_psu.bench_psu import (
    BenchPsuController,
    BenchPsuInterface,
    BenchPsuOutput,
    BenchPsuProxy,
    BenchPsuSimulator,
)
from bench_psu.bench_psu_devif import (
    BenchPsuError,
    BenchPsuEthernetInterface,
)
from bench_psu.bench_psu_sim import BenchPsuModel

__all__ = [
    "BenchPsuController",
    "BenchPsuError",
    "BenchPsuEthernetInterface",
    "BenchPsuInterface",
    "BenchPsuModel",
    "BenchPsuOutput",
    "BenchPsuProxy",
    "BenchPsuSimulator",
]
