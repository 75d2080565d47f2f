"""Imports that cost less."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from egse.lazy import hidden


def test_a_hidden_module_is_not_found_and_then_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "costly_extra.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with hidden("costly_extra"), pytest.raises(ImportError):
        import costly_extra
    import costly_extra

    with hidden("costly_extra"):
        assert sys.modules["costly_extra"] is costly_extra, "what is loaded stays"
    assert sys.modules.pop("costly_extra").VALUE == 1


def test_runs_start_without_the_grammar_of_addresses() -> None:
    """It takes longer than all the rest; and notebooks are checked as before."""
    code = (
        "import sys, camtest.run, nbformat\n"
        "print(sorted({'lark', 'rfc3987_syntax', 'isoduration'} & set(sys.modules)))\n"
        "nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('1')]))\n"
        "try:\n"
        "    nbformat.validate({'nbformat': 4, 'nbformat_minor': 5, 'metadata': 3, 'cells': []})\n"
        "except nbformat.ValidationError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["[]", "refused"], done.stderr
