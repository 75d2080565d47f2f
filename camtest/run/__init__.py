"""Running procedure notebooks: parameters, the papermill engine, dry runs.

papermill comes first: while it is imported it loads our engine by its entry point, which must not be half loaded then.

It brings `jsonschema`, whose check of internationalised addresses (`rfc3987_syntax`) compiles a grammar when it is
imported: two thirds of the time that a `camtest` command takes to start. No schema of a notebook asks for that check.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _left_out(module: str) -> Iterator[None]:
    """Has the optional imports of a module fail within the block, unless it is there already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


with _left_out("rfc3987_syntax"):
    import papermill as papermill
