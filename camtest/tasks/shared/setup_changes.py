"""Changes of the active Setup: shown, and submitted when the operator agrees."""

from __future__ import annotations

from collections.abc import Callable

from camtest.core.exec import Abort
from camtest.core.prompts import confirm
from egse import setup as setups
from egse.setup import Setup


def submit_changes(
    change: Callable[[Setup], object], description: str, check: Callable[[Setup], object] | None = None
) -> Setup:
    """Changes a copy of the active Setup, shows what is different, and submits it when the operator agrees.

    Args:
        change: makes the changes.
        description: of the new Setup, for its history.
        check: raises when the changed Setup makes no sense; None for no check.

    Returns:
        The new Setup, which is the active one now.

    Raises:
        Abort: when it makes no sense, nothing is different, or the operator does not want it; nothing was submitted.
    """
    old = setups.get_setup()
    new = old.copy()
    try:
        change(new)
        if check is not None:
            check(new)
    except (LookupError, ValueError, TypeError, OSError) as exc:
        raise Abort(f"The Setup would not be valid, nothing was submitted: {exc}") from exc
    changes = setups.diff_setups(old, new)
    if not changes:
        raise Abort(f"Setup {old.get_id()} says so already: nothing was submitted")
    if not confirm(f"{changes}\nSubmit this Setup?", default=False):
        raise Abort("The operator does not want this Setup: nothing was submitted")
    return setups.submit_setup(new, description)
