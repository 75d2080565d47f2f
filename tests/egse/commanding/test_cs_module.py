"""In which module a control server is declared, whoever makes its Controller."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from egse.aeu.aeu_cs import AWG2, CRIO, PSU3
from egse.control import ControlServerApp
from egse.dummy.dummy_cs import APP as DUMMY
from egse.ogse.ogse_cs import APP as OGSE

NOT_INSTALLED = """
from egse.control import ControlServerApp
from egse.instrument import maker

APP = ControlServerApp("newdev_cs", "NewDev Control Server", "New", object, maker(object, object))

if __name__ == "__main__":
    print(APP.find_module())
"""


def test_the_server_tells_where_it_is_declared(server: Any, proxy: Any) -> None:
    with type(proxy)() as bench, bench.get_service_proxy() as services:
        assert services.get_cs_module() == "bench_device"


@pytest.mark.parametrize(
    ("app", "module"),
    [
        (CRIO, "egse.aeu.aeu_cs"),
        (PSU3, "egse.aeu.aeu_cs"),
        (AWG2, "egse.aeu.aeu_cs"),
        (DUMMY, "egse.dummy.dummy_cs"),
        (OGSE, "egse.ogse.ogse_cs"),
    ],
)
def test_installed_servers(app: ControlServerApp, module: str) -> None:
    assert app.controller.__module__ != module  # the Controller is made elsewhere
    assert app.find_module() == module


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["-m", "newdev.newdev_cs"], "newdev.newdev_cs"),
        (["newdev/newdev_cs.py"], "newdev_cs"),
    ],
)
def test_a_server_that_is_not_installed(tmp_path: Path, arguments: list[str], module: str) -> None:
    (tmp_path / "newdev").mkdir()
    (tmp_path / "newdev" / "newdev_cs.py").write_text(NOT_INSTALLED)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{module}\n"


def test_a_server_made_in_a_program_of_another_kind() -> None:
    app = ControlServerApp("other_cs", "Other Control Server", "Other", object, lambda context: None)
    assert app.find_module() == __name__
