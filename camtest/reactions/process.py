"""The process that runs a recovery building block: started when the reaction is announced, so that it is ready in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping

import msgspec

from camtest.core.conditions import SafeCall
from camtest.core.safeprocess import Order
from camtest.core.values import plain
from egse.process.identity import process_identity

GRACE = 1.0
"""How long a process that was told to end may take before it is killed [s]."""


class RecoveryProcess:
    """A process that waits for its order; see `camtest.core.safeprocess`.

    Args:
        calls: what it will be told to run; their modules are imported at once.
    """

    def __init__(self, calls: Iterable[SafeCall]) -> None:
        modules = dict.fromkeys(call.name.rpartition(".")[0] for call in calls)
        self._lock = threading.Lock()
        self._ordered = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "camtest.core.safeprocess", "--order", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the terminal of the server does not stop it in the middle
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def identity(self) -> str:
        """What distinguishes it from a later process with the same id."""
        return process_identity(self.pid) or ""

    @property
    def is_alive(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def run(
        self,
        environment: Mapping[str, str],
        calls: Iterable[SafeCall],
        token: tuple[str, int],
        timeout: float,
    ) -> list[str]:
        """Gives it its order and waits until it has ended.

        Args:
            environment: variables by which it joins the observation.
            calls: building blocks, the first to run first.
            token: session and epoch of the control that it commands under.
            timeout: how long it may take [s]; then it is ended.

        Returns:
            What went wrong, one line each.
        """
        safes = [(call.name, plain(dict(call.arguments))) for call in calls]
        order = Order(dict(environment), safes, *token)
        self._ordered = True
        late = False
        try:
            out, err = self._process.communicate(msgspec.json.encode(order) + b"\n", timeout)
        except subprocess.TimeoutExpired:
            late = True
            self.end()
            out, err = self._process.communicate()
        if late:
            return [f"it took longer than {timeout:g} s and was ended"]
        problems = [line for line in out.decode(errors="replace").splitlines() if line.strip()]
        code = self._process.returncode
        if code not in (0, 1) or (code and not problems):
            what = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
            problems.append(f"its process ended with {what}: {err.decode(errors='replace').strip()[-500:]}")
        return problems

    def end(self) -> None:
        """Ends it; safe to call twice, and from any thread."""
        with self._lock:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self._process.poll() is not None:
                    break
                os.killpg(self.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE)
            if not self._ordered:  # else whoever waits for its output closes these
                for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                    if pipe is not None:
                        pipe.close()
