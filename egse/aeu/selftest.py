"""What the numbers of `get_selftest_result` mean (device reference, section 10.1)."""

from __future__ import annotations

from typing import Final

from egse.aeu.lines import LINES

PASSED: Final = (3, 4)
"""Results of a self-test that found nothing, with and without loop-back."""
RUNNING: Final = (1, 2)

_TEXTS: Final = {
    0: "no self-test has been run",
    1: "running, with loop-back",
    2: "running",
    3: "passed, with loop-back",
    4: "passed",
}


def describe_selftest(result: int) -> str:
    """Returns the result of a self-test as text."""
    if result in _TEXTS:
        return _TEXTS[result]
    if 7 <= result <= 20 and result % 4 in (0, 3):
        return f"frequency of a generator {'cannot be set' if result % 4 == 3 else 'outside its limits'} ({result})"
    if 21 <= result <= 32:
        return f"power supply {(result - 21) // 2 + 1} failed ({result})"
    if 33 <= result <= 56:
        kind, rest = divmod(result - 33, 12)
        camera = "F-CAM" if rest >= 6 else "N-CAM"
        what = ("a load is connected to", "voltage outside its limits on")[kind]
        return f"{what} {LINES[rest % 6]} of the {camera} ({result})"
    return f"unknown result ({result})"
