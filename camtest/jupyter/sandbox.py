"""IPython extension of the kernel `camtest-sandbox`: a private sandbox that begins and ends with the kernel.

The sandbox starts while the notebook opens; the first cell waits for it and shows how far it is. Its supervisor ends
everything when the process of the kernel is gone, however that ended.
"""

from __future__ import annotations

import atexit
import os
import time
from typing import Any

from camtest.core.variables import RUN_ID_VARIABLE
from camtest.jupyter.privatesite import PrivateSandbox
from egse.process import LaunchError

SHOWN_EVERY = 1.0
"""How often the progress is shown again [s]."""

_REFUSAL = (
    "this notebook asks for the kernel camtest-sandbox, which brings a site of its own, but the run belongs to another "
    "one. Give the run the kernel of its site: -k camtest"
)


def load_ipython_extension(shell: Any) -> None:
    """Starts the sandbox and goes on; the names of camtest are there when the first cell is executed.

    Args:
        shell: the interactive shell.
    """
    shell.Completer.use_jedi = False
    gate = _Gate()
    shell.ast_transformers.append(gate)
    run_id = os.environ.get(RUN_ID_VARIABLE, "")
    if run_id:
        if run_id != "dry-run":
            gate.close(_REFUSAL, for_good=True)
            return
        from camtest.jupyter.extension import load_ipython_extension as load_camtest

        load_camtest(shell)
        return
    shell.banner2 = "A private sandbox is starting: core services, simulators, device servers.\n"
    sandbox = PrivateSandbox.from_environment()
    atexit.register(sandbox.close)
    sandbox.start()
    first = _FirstCell(shell, sandbox, gate)
    shell.events.register("pre_run_cell", first)


class _Gate:
    """Refuses cells, as an AST transformer of IPython: the only way to keep a cell from being executed."""

    def __init__(self) -> None:
        self._reason = ""
        self._for_good = False

    def close(self, reason: str, *, for_good: bool = False) -> None:
        """Refuses the cell that is about to be executed, or all of them, for a reason."""
        self._reason, self._for_good = reason, for_good

    def visit(self, node: Any) -> Any:
        """Called with each cell that was parsed."""
        if not self._reason:
            return node
        from IPython.core.error import InputRejected

        reason = self._reason
        if not self._for_good:
            self._reason = ""
        raise InputRejected(reason)


class _FirstCell:
    """Waits for the sandbox before the first cell of a person, shows the progress, then makes this a camtest session."""

    def __init__(self, shell: Any, sandbox: PrivateSandbox, gate: _Gate) -> None:
        self._shell = shell
        self._sandbox = sandbox
        self._gate = gate

    def __call__(self, info: Any = None) -> None:
        if info is not None and (getattr(info, "silent", False) or not getattr(info, "store_history", True)):
            return
        try:
            self._wait()
        except KeyboardInterrupt:
            self._gate.close("interrupted while the sandbox was starting; it goes on: execute the cell again")
            return
        except LaunchError as exc:
            self._gate.close(f"the sandbox did not start, restart the kernel to try again: {exc}")
        self._shell.events.unregister("pre_run_cell", self)
        self._shell.user_ns["sandbox"] = self._sandbox.sandbox
        self._become_camtest(info)

    def _wait(self) -> None:
        from IPython.display import display

        began, handle = time.monotonic(), None
        while not self._sandbox.wait(SHOWN_EVERY if handle else 0.0):
            shown = _Progress(self._sandbox.progress(), time.monotonic() - began)
            if handle is None:
                handle = display(shown, display_id=True)  # type: ignore[no-untyped-call]
            else:
                handle.update(shown)
        if handle is not None:
            handle.update(_Progress("The private sandbox runs", time.monotonic() - began))
        self._sandbox.require_running()

    def _become_camtest(self, info: Any) -> None:
        from camtest.jupyter.extension import load_ipython_extension as load_camtest
        from camtest.jupyter.status import mark_private_sandbox
        from egse.settings import Settings

        Settings.load(force=True)  # those of the sandbox were not there before
        mark_private_sandbox(str(self._sandbox.sandbox.directory))
        status = load_camtest(self._shell)
        if status is not None:
            status.before(info)  # what was registered just now is not called for this cell any more


class _Progress:
    """How far the start is, as text and as HTML."""

    def __init__(self, text: str, seconds: float) -> None:
        self._text = f"{text} ({seconds:.0f} s)"

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        import html

        return f'<div role="status" style="opacity:0.75">{html.escape(self._text)}</div>'
