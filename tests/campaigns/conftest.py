"""Fixtures of the campaigns: the bench server of the commanding tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1] / "egse" / "commanding" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("bench_fixtures", _SOURCE)
assert _SPEC is not None
assert _SPEC.loader is not None
_module = importlib.util.module_from_spec(_SPEC)
sys.modules["bench_fixtures"] = _module
_SPEC.loader.exec_module(_module)

bench_site = _module.bench_site
stopped_server = _module.stopped_server
server = _module.server
proxy = _module.proxy
