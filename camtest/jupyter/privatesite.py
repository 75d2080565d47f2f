"""The sandbox of one kernel: a folder in the user's cache, made and started at once, ended with the process.

Whatever becomes of the kernel (end, restart, `kill -9`), its programs are stopped by the sandbox's supervisor, which watches this
process. The folder is removed at a regular end; what a killed kernel leaves is removed by the next one that starts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Self

from egse.files import write_atomically
from egse.process import LaunchError
from egse.process.identity import is_same_process, process_identity
from egse.site.layout import SiteError
from egse.site.ports import PortClaimError, release_block
from egse.site.sandbox import Sandbox

LOGGER = logging.getLogger(__name__)

FOLDER_VARIABLE = "CAMTEST_SANDBOX_DIR"
"""Folder of the sandbox, which is kept; without it, one that is removed at the end."""
SPEED_VARIABLE = "CAMTEST_SANDBOX_SPEED"
"""How much faster than the wall the time of the sandbox runs; 5 without it: a cycle of the camera takes 5 s."""
SPEED = 5.0
START_TIMEOUT = 180.0
"""How long the start may take [s], on a machine that has much else to do."""
OWNER = "owner"
"""File in the folder of a sandbox: process id and identity of the kernel."""


class PrivateSandbox:
    """The sandbox of this process.

    Args:
        folder: where; None for a new folder that is removed at the end.
        speed: how much faster than the wall its time runs.
    """

    def __init__(self, folder: Path | None = None, speed: float = SPEED) -> None:
        self._temporary = folder is None
        self.sandbox = Sandbox(folder or _new_folder(), speed=speed)
        self._pid = os.getpid()
        self._done = threading.Event()
        self._failure = ""
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def from_environment(cls) -> Self:
        """Returns the sandbox that the environment variables describe; remains of killed kernels are removed first."""
        remove_remains()
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(
            Path(folder).expanduser() if folder else None, float(os.environ.get(SPEED_VARIABLE) or SPEED)
        )

    def start(self) -> None:
        """Makes this process a member of the sandbox and starts it in the background."""
        os.environ.update(self.sandbox.env)
        threading.Thread(target=self._start, name="sandbox", daemon=True).start()

    def _start(self) -> None:
        try:
            try:
                self.sandbox.start(START_TIMEOUT)
            except LaunchError as exc:
                LOGGER.warning("the sandbox is slow to start, once more: %s", exc)
                self.sandbox.start(START_TIMEOUT)
        except (LaunchError, SiteError, PortClaimError, OSError) as exc:
            self._failure = f"{type(exc).__name__}: {exc}"
        finally:
            self._done.set()

    def wait(self, timeout: float) -> bool:
        """Returns True once the start has ended, well or not; waits for it up to `timeout` [s]."""
        return self._done.wait(timeout)

    def require_running(self) -> None:
        """Raises LaunchError when the start has failed."""
        if self._failure:
            raise LaunchError(self._failure)

    def progress(self) -> str:
        """Returns how far the start is, in one line."""
        try:
            states = {name: status.state.value for name, status in self.sandbox.status().items()}
        except (OSError, LaunchError):
            states = {}
        if not states:
            return "Starting the private sandbox: making folders, settings and the first Setup"
        up = sum(state == "running" for state in states.values())
        waiting = [name for name, state in states.items() if state == "starting"]
        return f"Starting the private sandbox: {up} of {len(states)} programs run" + (
            f", {', '.join(waiting)} on the way" if waiting else ""
        )

    def close(self) -> None:
        """Stops everything and removes the folder; in a fork of this process nothing happens."""
        with self._closing:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
        try:
            self.sandbox.stop()
        except LaunchError as exc:
            LOGGER.warning("the supervisor ends the rest of the sandbox: %s", exc)
            return
        if self._temporary:
            _remove(self.sandbox.directory)


def sandboxes_folder() -> Path:
    """Returns where the sandboxes of kernels are: `XDG_CACHE_HOME` or `~/.cache`, then `camtest/kernels`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "camtest" / "kernels"


def _new_folder() -> Path:
    holder = sandboxes_folder() / f"{os.getpid()}-{os.urandom(4).hex()}"
    holder.mkdir(mode=0o700, parents=True)
    owner = f"{os.getpid()} {process_identity(os.getpid())}"
    write_atomically(holder / OWNER, owner.encode(), 0o600)
    return holder / "site"


def remove_remains() -> list[Path]:
    """Removes the folders of kernels that were killed, once their programs have ended.

    Returns:
        The folders that were removed.
    """
    removed = []
    for holder in sorted(sandboxes_folder().glob("*-*")):
        pid, _, identity = _owner_of(holder).partition(" ")
        if not pid.isdigit() or is_same_process(int(pid), identity):
            continue
        with contextlib.suppress(SiteError, OSError, LaunchError):
            site = holder / "site"
            if (site / "sandbox.json").exists() and any(
                status.pid is not None for status in Sandbox(site).status().values()
            ):
                continue
            _remove(site)
            removed.append(holder)
    return removed


def _owner_of(holder: Path) -> str:
    try:
        return (holder / OWNER).read_text(encoding="utf-8")
    except OSError:
        return ""


def _remove(site: Path) -> None:
    with contextlib.suppress(PortClaimError):
        release_block(site)
    shutil.rmtree(site.parent, ignore_errors=True)
