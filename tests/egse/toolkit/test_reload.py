from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.reload import ReloadWarning, reload_function, reload_module

ANALYSIS = """
import functools

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

def result():
    return {0}

@decorated
def wrapped():
    return {0}

class Fit:
    @staticmethod
    def order():
        return {0}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `bench_tools` whose `__init__` passes on what `analysis` has, and a module beside that uses it."""
    folder = tmp_path / "bench_tools"
    folder.mkdir()
    (folder / "__init__.py").write_text("from bench_tools.analysis import result\n")
    (folder / "analysis.py").write_text(ANALYSIS.format(1))
    (tmp_path / "bench_user.py").write_text("from bench_tools.analysis import result\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("bench_")]:
        del sys.modules[name]


def module(name: str) -> Any:
    return importlib.import_module(name)


def test_a_module_is_read_again_with_what_passes_it_on(package: Path) -> None:
    analysis = module("bench_tools.analysis")
    for value in range(2, 6):  # same size, same second: the cache of compiled files must not hide it
        (package / "analysis.py").write_text(ANALYSIS.format(value))
        assert reload_module("bench_tools.analysis") is analysis
        assert analysis.result() == module("bench_tools").result() == value
    (package / "analysis.py").write_text(ANALYSIS.format(6))
    reload_module(analysis, walk=False)
    assert (analysis.result(), module("bench_tools").result()) == (6, 5)


def test_a_module_that_was_not_imported_yet_is_imported(package: Path) -> None:
    assert reload_module("bench_tools.analysis").result() == 1
    with pytest.raises(ImportError, match=r"bench_tools\.nothing"):
        reload_module("bench_tools.nothing")
    with pytest.raises(ImportError, match="run the notebook cell"):
        reload_module("__main__")


@pytest.mark.parametrize("path", ["result", "wrapped", "Fit.order"])
def test_a_function_is_returned_as_it_is_now(package: Path, path: str) -> None:
    old: Any = module("bench_tools.analysis")
    for name in path.split("."):
        old = getattr(old, name)
    (package / "analysis.py").write_text(ANALYSIS.format(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = reload_function(old)
    assert (old(), new()) == (1, 2)


def test_modules_that_hold_the_old_function_are_named(package: Path) -> None:
    user = module("bench_user")
    (package / "analysis.py").write_text(ANALYSIS.format(2))
    with pytest.warns(ReloadWarning, match=r"still use the old result: bench_user; reload them too"):
        new = reload_function(user.result)
    assert (user.result(), new()) == (1, 2)


def test_functions_that_cannot_be_found_again(package: Path) -> None:
    analysis = module("bench_tools.analysis")
    with pytest.raises(ValueError, match="is not defined in the body of a module"):
        reload_function(lambda: 1)
    result = analysis.result
    result.__qualname__ = "gone"
    with pytest.raises(ValueError, match=r"bench_tools.analysis has no gone any more"):
        reload_function(result)
