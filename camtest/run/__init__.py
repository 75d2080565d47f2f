"""Running procedure notebooks: parameters, the papermill engine, dry runs.

papermill comes first: while it is imported it loads our engine by its entry point, which must not be half loaded then.
"""

import sys as _sys
from collections.abc import Iterator as _Iterator
from contextlib import contextmanager as _contextmanager


@_contextmanager
def _without(name: str) -> _Iterator[None]:
    """Lets imports in the `with` block do without a package that they can do without, unless it is loaded already."""
    loaded = name in _sys.modules
    if not loaded:
        _sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del _sys.modules[name]


# jsonschema, which nbformat loads, would compile a grammar of internationalised web addresses. No notebook has any, and
# that takes three times as long as everything else that a run loads.
with _without("rfc3987_syntax"):
    import papermill as papermill
