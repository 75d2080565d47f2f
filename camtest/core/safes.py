"""The one runner of safes: building blocks that make safe what others have left when they ended badly.

Which safes are due follows from the events of an observation alone, so that a process that knows nothing but these can run
them when the one that commanded is gone. Innermost first; then, when that is wanted, the safe state of the Setup:

    camtest:
      safe_state: camtest.commanding.dpu.n_fee_to_on_mode      # or {block: ..., arguments: {...}}
      on_lost_run: safes            # what a watchdog runs when a runner is gone: nothing, safes, safe_state
      on_lost_session: nothing      # the same for a session at a prompt
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from camtest.core.conditions import DEFINITION_ATTRIBUTE, SafeCall
from egse.setup import NavigableDict, Setup
from egse.setup.trust import is_trusted

LOGGER = logging.getLogger(__name__)

PROCESS_TIMEOUT = 300.0
"""Longest time for the safes that another process runs [s]."""
REACTIONS = ("nothing", "safes", "safe_state")

Runner = Callable[[SafeCall], object]


class SafeError(LookupError):
    """A safe cannot be found."""


def pending_safes(events: Iterable[Mapping[str, Any]]) -> list[SafeCall]:
    """Returns the safes that are due according to the events of an observation, the first to run first.

    Those of building blocks that failed, or are active still (their process is gone), unless an operator has decided about
    the failure, has said `halt`, or they have been run.
    """
    active: dict[tuple[int, int], SafeCall] = {}
    failed: dict[tuple[int, int], SafeCall] = {}
    for event in events:
        kind, key = event.get("event"), (int(event.get("pid", 0)), int(event.get("call", 0)))
        if kind == "start" and event.get("safe"):
            safe = event["safe"]
            active[key] = SafeCall(str(safe["name"]), dict(safe.get("arguments") or {}))
        elif kind == "failed" and key in active:
            failed[key] = active.pop(key)
        elif kind == "refused":
            active.pop(key, None)
        elif kind == "end":
            active.pop(key, None)
            # What failed inside a building block that has ended well was dealt with by it.
            failed = {one: safe for one, safe in failed.items() if one[0] != key[0] or one[1] < key[1]}
        elif kind == "decided" or (kind == "verb" and event.get("verb") == "halt"):
            failed.clear()
            if kind == "verb":
                active.clear()
        elif kind == "safes-done":
            failed.clear()
            active.clear()
    return [*failed.values(), *(active[key] for key in sorted(active, reverse=True))]


def find_safe(safe: SafeCall) -> Callable[..., Any]:
    """Returns the building block of a safe, imported when it is not at hand.

    Raises:
        SafeError: when there is none of this name.
    """
    if safe.block is not None:
        return safe.block
    module, _, name = safe.name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError) as exc:
        raise SafeError(f"the safe `{safe.name}` cannot be imported: {exc}") from exc
    if found is None or getattr(found, DEFINITION_ATTRIBUTE, None) is None:
        raise SafeError(f"the safe `{safe.name}` is no building block")
    return cast(Callable[..., Any], found)


def _camtest_branch(setup: Setup | None) -> Mapping[str, Any]:
    branch = None if setup is None or "camtest" not in setup else setup["camtest"]
    return branch if isinstance(branch, Mapping) else {}


def safe_state(setup: Setup | None) -> SafeCall | None:
    """Returns the building block that the Setup names as safe state (`camtest.safe_state`), None when it names none.

    Raises:
        SafeError: when it is not in a trusted package, or there is none of this name.
    """
    entry = _camtest_branch(setup).get("safe_state")
    if not entry:
        return None
    if isinstance(entry, (Mapping, NavigableDict)):
        name, arguments = str(entry.get("block", "")), dict(entry.get("arguments") or {})
    else:
        name, arguments = str(entry), {}
    if not is_trusted(name.rpartition(".")[0]):
        raise SafeError(f"the safe state {name!r} of the Setup is not in a trusted package")
    call = SafeCall(name, arguments)
    return SafeCall(name, arguments, find_safe(call))


def reaction_of(setup: Setup | None, *, supervised: bool) -> str:
    """Returns what is run when a client is gone: nothing, safes or safe_state (`camtest.on_lost_run`, `on_lost_session`)."""
    key, default = ("on_lost_run", "safes") if supervised else ("on_lost_session", "nothing")
    reaction = str(_camtest_branch(setup).get(key, default))
    if reaction not in REACTIONS:
        LOGGER.error("camtest.%s of the Setup must be one of %s, not %r", key, ", ".join(REACTIONS), reaction)
        return default
    return reaction


def run_safes(safes: Iterable[SafeCall]) -> list[str]:
    """Runs safes one after the other; one that fails does not keep the others from running.

    Returns:
        What went wrong, one line each.
    """
    problems = []
    for safe in safes:
        LOGGER.warning("Making safe: %s", safe.name)
        try:
            find_safe(safe)(**safe.arguments)
        except Exception as exc:  # whatever goes wrong in one of them, the others must run
            LOGGER.exception("The safe %s has failed", safe.name)
            problems.append(f"{safe.name}: {type(exc).__name__}: {exc}")
    return problems


def run_elsewhere(
    environment: Mapping[str, str], folder: str | None, *, with_state: bool, timeout: float = PROCESS_TIMEOUT
) -> list[str]:
    """Runs what is due in a fresh process, see `camtest.core.safeprocess`.

    Args:
        environment: variables by which it joins the observation.
        folder: where the process that commanded was started, for modules that are imported from there.
        with_state: then the safe state of the Setup.
        timeout: how long it may take [s].

    Returns:
        What went wrong, one line each.
    """
    command = [sys.executable, "-m", "camtest.core.safeprocess", *(["--state"] if with_state else [])]
    cwd = folder if folder and Path(folder).is_dir() else None
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"the safes took longer than {timeout:g} s"]
    problems = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode not in (0, 1) or (done.returncode and not problems):
        problems.append(
            f"the process of the safes ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        )
    return problems
