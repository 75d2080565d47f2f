"""Warm kernels for what commands no hardware: dry runs and analysis, several at a time.

Starting a kernel and importing the packages takes longer than most dry runs. A pooled kernel does it once and is brought
back to a fresh session between two notebooks (`camtest.run.warm`); after a notebook that failed it is replaced. Pooled
kernels are in a dry run from their first moment: whatever a notebook does, nothing reaches a control server or a device.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import nbformat

from camtest.core.variables import SETUP_FILE_VARIABLE
from camtest.run.client import RunClient
from camtest.run.dryrun import dry_run_environment
from camtest.run.interrupts import Interrupts
from camtest.run.manager import RunManager

LOGGER = logging.getLogger(__name__)

R = TypeVar("R")

MOST_NOTEBOOKS = 200
"""A kernel is replaced after so many notebooks: what a library keeps to itself does not grow for ever."""
_REFRESH = """
from camtest.jupyter.namespace import namespace
from camtest.run.warm import refresh
refresh(get_ipython(), namespace(), {folder!r}, {setup_file!r})
"""


class WarmKernel:
    """One kernel that stays; for use in one thread only."""

    def __init__(self) -> None:
        self._host: RunClient | None = None
        self._name = ""
        self._used = 0

    def manager(self, kernel_name: str) -> Any:
        """Returns the manager of the running kernel; it is started when there is none of this name."""
        if self._host is not None and (self._name != kernel_name or self._used >= MOST_NOTEBOOKS):
            self.discard()
        if self._host is None:
            notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
            host = RunClient(
                RunManager(notebook, None, None, progress_bar=False), Interrupts(), kernel_name=kernel_name
            )
            host.create_kernel_manager()
            self._host, self._name, self._used = host, kernel_name, 0
            host.start_new_kernel(env=dry_run_environment(None))
            host.start_new_kernel_client()
        self._used += 1
        return self._host.km

    @property
    def client(self) -> Any:
        """The client of the running kernel."""
        assert self._host is not None, "the kernel is not running"
        return self._host.kc

    def refresh(self, client: RunClient, folder: Path, setup_file: str | Path | None) -> None:
        """Makes the kernel as good as new."""
        chosen = (
            os.environ.get(SETUP_FILE_VARIABLE) if setup_file is None else str(Path(setup_file).resolve())
        )
        client.ask(_REFRESH.format(folder=str(folder), setup_file=chosen))

    def kill(self) -> None:
        """Kills the kernel; from any thread."""
        host = self._host
        if host is not None and host.km is not None:
            host.kill()

    def discard(self) -> None:
        """Ends the kernel; the next notebook gets a new one."""
        host, self._host = self._host, None
        if host is not None:
            host.end()


class KernelPool:
    """Executes work on warm kernels, in order of submission; a context manager.

    Args:
        size: how many kernels; None for one per processor, at most four.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or min(os.cpu_count() or 1, 4)
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="pooled-kernel")
        self._local = threading.local()
        self._kernels: list[WarmKernel] = []
        self._lock = threading.Lock()

    def submit(self, work: Callable[[WarmKernel], R]) -> Future[R]:
        """Returns the future of `work(kernel)`."""
        return self._threads.submit(self._do, work)

    def _do(self, work: Callable[[WarmKernel], R]) -> R:
        kernel: WarmKernel | None = getattr(self._local, "kernel", None)
        if kernel is None:
            kernel = self._local.kernel = WarmKernel()
            with self._lock:
                self._kernels.append(kernel)
        return work(kernel)

    def kill(self) -> None:
        """Kills the kernels at once: what they execute fails."""
        with self._lock:
            for kernel in self._kernels:
                kernel.kill()

    def close(self) -> None:
        """Ends all kernels; what is running is waited for, what has not begun is cancelled."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for kernel in self._kernels:
            kernel.kill()
            kernel.discard()

    def __enter__(self) -> KernelPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
