"""The kernel `camtest` and plain Python with `startup.py`, as members of a running site."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


def test_the_kernel_is_installed(shell: Any) -> None:
    code, output = shell.run("jupyter", "kernelspec", "list", "--json")
    assert code == 0, output
    spec = json.loads(output[output.index("{") :])["kernelspecs"]["camtest"]
    assert spec["spec"]["display_name"].startswith("camtest")
    assert Path(spec["resource_dir"]).is_relative_to(sys.prefix)


def test_a_notebook_in_the_kernel(lab: Any, shell: Any, write_notebook: Callable[..., Path]) -> None:
    """Executed by nbclient's own command, without our runner: nothing is imported, everything is at hand."""
    notebook = write_notebook(
        "hello.ipynb",
        "setup.camera.ID",
        "(GlobalState.setup is setup, GlobalState.dry_run, current_obsid())",
        "session_status()",
        "with observation('by hand') as obsid:\n"
        "    from camtest.commanding import ogse\n"
        "    ogse.set_attenuation(factor=0.2)\n"
        "    print(obsid)",
    )
    code, output = shell.run("jupyter", "execute", "--inplace", notebook)
    assert code == 0, output
    cells = nbformat.read(notebook, as_version=4).cells
    banner, camera = cells[0].outputs
    expected = "site LAB | Setup 00001 (achel) | no observation | simulator: commands go to simulated devices"
    assert banner["data"]["text/plain"] == expected
    assert "<b>Site</b> LAB" in banner["data"]["text/html"]
    assert camera["data"]["text/plain"] == "'achel'"
    assert cells[1].outputs[0]["data"]["text/plain"] == "(True, False, None)"
    assert cells[2].outputs[0]["data"]["text/plain"] == expected
    obsid = cells[3].outputs[0]["text"].strip()
    observation = lab.last()
    assert (observation["obsid"], observation["status"]) == (obsid, "done")
    assert (observation["description"], observation["supervised"]) == ("by hand", False)
    assert observation["function"] == "unknown_function()"
    assert lab.source.att_get_level()["att_factor"] == pytest.approx(0.2, abs=0.05)


def test_plain_python_with_the_startup_file(shell: Any, lab: Any) -> None:
    lines = "setup.camera.ID\nsession_status()\nexecute.__name__, observation.__name__\nGlobalState.dry_run\n"
    done = subprocess.run(
        [sys.executable, "-i"],
        input=lines,
        env={**shell.environment, "PYTHONSTARTUP": str(ROOT / "startup.py")},
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    shown = done.stdout.splitlines()
    assert shown[0] == "'achel'", done.stderr
    assert "site='LAB'" in shown[1] or "site LAB" in shown[1]
    assert shown[2:] == ["('execute', 'observation')", "False"]
    assert "Traceback" not in done.stderr


def test_the_startup_file_never_keeps_python_from_starting(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-i"],
        input="1 + 1\nsetup\n",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONSTARTUP": str(ROOT / "startup.py")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines() == ["2"]
    assert "Error" not in done.stderr
