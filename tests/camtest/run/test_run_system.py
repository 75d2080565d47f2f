"""The engine against the real core services: records, folders, and every process that can die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from egse.confman import ConfigurationManagerProxy
from egse.site.sandbox import Sandbox

from . import notebook_tools

pytestmark = pytest.mark.system

PARAMETERS = "# parameters\nexposure: float = 1.0  # exposure time [s]"
BLOCK = """\
from camtest import building_block
@building_block
def note(value: float) -> float:
    return value
note(value=exposure)
"""
SLOW = """\
import os, pathlib, time
pathlib.Path("kernel.pid").write_text(str(os.getpid()))
time.sleep(100)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Core services of a private site."""
    with Sandbox(tmp_path_factory.mktemp("site") / "sandbox", only_core=True) as sandbox:
        with ConfigurationManagerProxy(endpoint=sandbox.endpoint("cm_cs")) as proxy:
            proxy.load_setup(1)
        yield sandbox


@pytest.fixture
def manager(site: Sandbox) -> Iterator[ConfigurationManagerProxy]:
    with ConfigurationManagerProxy(endpoint=site.endpoint("cm_cs")) as proxy:
        yield proxy


@pytest.fixture
def environment(site: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.delenv("CAMTEST_SPOOL_LOCATION", raising=False)
    return dict(site.environ())


PAPERMILL = "import camtest.run\nfrom papermill.cli import papermill\npapermill(prog_name='papermill')"
"""The command `papermill`, which starts in half the time when our package is there first (see `camtest.run`)."""


def papermill(notebook: Path, *options: str) -> list[str]:
    output = str(notebook.with_name("out.ipynb"))
    engine = ["--engine", "camtest", "--no-progress-bar"]
    return [sys.executable, "-c", PAPERMILL, *engine, str(notebook), output, *options]


def start(command: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 180.0) -> tuple[int, str]:
    output, _ = process.communicate(timeout=timeout)
    assert_session_is_empty(process.pid)
    return process.returncode, output


def assert_session_is_empty(session: int) -> None:
    left = []
    for process in psutil.process_iter(["pid"]):
        try:
            if os.getsid(process.pid) == session:
                left.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    assert not psutil.wait_procs(left, timeout=5)[1]


def kernel_pid(folder: Path, process: subprocess.Popen[str]) -> int:
    path = folder / "kernel.pid"
    deadline = time.monotonic() + 120
    while not (path.exists() and path.read_text()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the cell did not start"
        time.sleep(0.01)
    return int(path.read_text())


def eventually(condition: Callable[[], Any], timeout: float) -> Any:
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)
    return value


def test_run_of_the_command_line_is_an_observation(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    notebook = notebook_tools.write_notebook(tmp_path / "take_it.ipynb", PARAMETERS, BLOCK, kernel="camtest")
    options = ("-p", "exposure", "2.5", "--output-dir", "out")
    code, output = camtest(environment, tmp_path, "run", str(notebook), *options)
    assert code == 0, output
    record = manager.list_observations(last=1)[0]
    assert record["status"] == "done"
    assert record["function"] == 'take_it(exposure="2.5")'
    assert record["supervised"] is True
    for text in (record["obsid"], record["folder"], "done", "[1/3]", str(tmp_path / "out")):
        assert text in output
    folder, prefix = Path(record["folder"]), record["prefix"]
    names = {path.name for path in folder.iterdir()}
    assert {
        *("manifest.json", f"{prefix}_take_it.ipynb", f"{prefix}_take_it_input.ipynb"),
        *(f"{prefix}_parameters.json", f"{prefix}_versions.json", f"{prefix}_events.jsonl"),
    } <= names
    events = [json.loads(line) for line in (folder / f"{prefix}_events.jsonl").read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    blocks = [event for event in events if event.get("block")]
    assert [event["event"] for event in blocks] == ["start", "end"]
    assert blocks[0]["args"] == {"value": 2.5}
    assert events[-1]["event"] == "observation-end"
    listed = {entry["path"] for entry in json.loads((folder / "manifest.json").read_text())["files"]}
    assert f"{prefix}_take_it.ipynb" in listed
    assert f"{prefix}_events.jsonl" in listed


def test_papermill_with_wrong_parameters_starts_nothing(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    before = len(manager.list_observations())
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", PARAMETERS, BLOCK)
    options = ("-p", "exposre", "2", "-p", "exposure", "abc")
    code, output = finish(start(papermill(notebook, *options), environment, tmp_path))
    assert code == 2
    assert "`exposre` is not a parameter of this notebook. Did you mean `exposure`?" in output
    assert "`exposure` expected a number, got 'abc'" in output
    assert "Traceback" not in output
    assert len(manager.list_observations()) == before


SESSION = """
from camtest import GlobalState, building_block, execute, start_observation
from egse.proxy import get_command_context

@building_block
def note(value: float) -> str:
    return get_command_context().obsid

print(execute(note, value=1.5, description="by hand"), GlobalState.setup.get_id())
print(start_observation("left open"))
"""


def test_session_at_a_prompt(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    (tmp_path / "session.py").write_text(SESSION)
    code, output = finish(start([sys.executable, "session.py"], environment, tmp_path))
    assert code == 0, output
    executed, left = manager.list_observations(last=2)
    assert output.splitlines() == [f"{executed['obsid']} 00001", left["obsid"]]
    assert (executed["function"], executed["description"]) == ('note(value="1.5")', "by hand")
    assert (executed["status"], executed["supervised"]) == ("done", False)
    assert (left["status"], left["reason"]) == (
        "interrupted",
        "the session ended without end_observation()",
    )


def test_papermill_with_a_cell_that_raises(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", PARAMETERS, "1 / 0", "3")
    code, output = finish(start(papermill(notebook), environment, tmp_path))
    assert code == 1
    assert "ZeroDivisionError" in output
    record = manager.list_observations(last=1)[0]
    assert record["obsid"] in output
    assert (record["status"], record["state"]) == ("failed", "closed")
    assert record["reason"].startswith("ZeroDivisionError")


def test_papermill_works_in_another_folder(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    notebook_tools.write_notebook(tmp_path / "in.ipynb", "import pathlib; pathlib.Path('made').touch()")
    command = [*papermill(Path("in.ipynb")), "--cwd", "elsewhere"]
    code, output = finish(start(command, environment, tmp_path))
    assert code == 0, output
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "in.ipynb", "out.ipynb"}
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["made"]


def test_kernel_killed_in_mid_run(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", SLOW, "3")
    process = start(papermill(notebook), environment, tmp_path)
    os.kill(kernel_pid(tmp_path, process), signal.SIGKILL)
    began = time.monotonic()
    code, output = finish(process)
    assert time.monotonic() - began < 15
    assert code == 138
    assert manager.list_observations(last=1)[0]["status"] == "kernel-lost", output


def test_papermill_terminated(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", SLOW, "3")
    process = start(papermill(notebook), environment, tmp_path)
    kernel_pid(tmp_path, process)
    process.terminate()
    code, output = finish(process)
    assert code not in (0, None)
    record = manager.list_observations(last=1)[0]
    assert (record["status"], record["reason"]) == ("interrupted", "interrupted by SIGTERM"), output


def test_runner_and_kernel_killed_together(
    site: Sandbox, environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", PARAMETERS, BLOCK, SLOW)
    process = start(papermill(notebook), environment | {"CAMTEST_LEASE": "3"}, tmp_path)
    kernel = kernel_pid(tmp_path, process)
    obsid = manager.get_obsid()
    process.kill()
    os.kill(kernel, signal.SIGKILL)
    finish(process)
    assert manager.get_obsid() == obsid
    record = eventually(lambda: closed(manager), 16)
    assert record["obsid"] == obsid
    assert record["status"] == "interrupted"
    # The watchdog has brought what waited in the spool, and removes it then.
    spool = Path(environment["PLATO_LOG_FILE_LOCATION"], "spool")
    assert eventually(lambda: not list(spool.glob(f"*{record['run_id']}*")), 16)
    lines = Path(record["folder"], f"{record['prefix']}_events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["block"] for event in events if event["event"] == "start"] == ["__main__.note"]
    assert "taken-over" in [event["event"] for event in events]


def closed(manager: ConfigurationManagerProxy) -> dict[str, Any] | None:
    record = manager.list_observations(last=1)[0]
    return record if record["state"] == "closed" else None


def test_core_services_restarted_during_the_run(
    site: Sandbox, environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    cells = (PARAMETERS, SLOW.replace("sleep(100)", "sleep(3)"), BLOCK)
    process = start(
        papermill(notebook_tools.write_notebook(tmp_path / "in.ipynb", *cells)), environment, tmp_path
    )
    kernel_pid(tmp_path, process)
    site.kill("sm_cs")
    site.kill("cm_cs")
    code, output = finish(process, 90)
    assert code == 0, output
    site.wait_for("cm_cs")
    record = eventually(lambda: closed(manager), 20)
    assert record["status"] == "done"
    assert re.search(r"Status +done", output)


def camtest(environment: dict[str, str], folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "from camtest.cli import main; main()", *arguments]
    return finish(start(command, environment, folder))


def test_archive_is_listed_shown_and_checked(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", PARAMETERS, BLOCK)
    code, output = finish(start(papermill(notebook), environment, tmp_path))
    assert code == 0, output
    record = manager.list_observations(last=1)[0]
    obsid = record["obsid"]
    code, output = camtest(environment, tmp_path, "obs", "list", "--json", "-n", "1")
    assert (code, json.loads(output)[0]["obsid"], json.loads(output)[0]["status"]) == (0, obsid, "done")
    assert obsid in camtest({**environment, "COLUMNS": "200"}, tmp_path, "obs", "list")[1]
    code, output = camtest(environment, tmp_path, "obs", "show", obsid)
    assert code == 0
    for text in (f"{record['prefix']}_in.ipynb", 'in(exposure="1.0")', "1 start, 1 end"):
        assert text in output
    assert camtest(environment, tmp_path, "verify", obsid)[0] == 0
    assert camtest(environment, tmp_path, "verify", "--all")[0] == 0
    assert camtest(environment, tmp_path, "verify", "99999")[0] == 1

    stored = Path(record["folder"], f"{record['prefix']}_in.ipynb")
    content = stored.read_bytes()
    stored.chmod(0o640)
    stored.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    code, output = camtest(environment, tmp_path, "verify", obsid)
    assert code == 1
    assert stored.name in output
    stored.write_bytes(content)
    Path(record["folder"]).rename(tmp_path / "taken")
    code, output = camtest(environment, tmp_path, "verify", "--all")
    assert (code, f"the whole observation {obsid} is missing" in output) == (1, True)
    (tmp_path / "taken").rename(record["folder"])
    assert camtest(environment, tmp_path, "verify", "--all")[0] == 0


def test_dry_run_needs_no_server(environment: dict[str, str], tmp_path: Path) -> None:
    cells = (PARAMETERS, BLOCK, "# analysis\nraise SystemError('not in a dry run')")
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", *cells)
    dead = {**environment, "PLATO_LOCAL_SETTINGS": str(other_ports(environment, tmp_path))}
    code, output = camtest(dead, tmp_path, "dry-run", str(notebook), "--export", "sequence.json")
    assert code == 0, output
    assert "note(value=1.0)" in output
    exported = json.loads((tmp_path / "sequence.json").read_text())
    assert exported["mode"] == "dry-run"
    assert exported["setup_id"] == "00001"
    assert exported["parameters"] == {"exposure": 1.0}
    assert exported["entries"][0]["name"] == "note"


def other_ports(environment: dict[str, str], folder: Path) -> Path:
    """Settings that lead to nobody."""
    text = Path(environment["PLATO_LOCAL_SETTINGS"]).read_text()
    path = folder / "settings.yaml"
    path.write_text(re.sub(r"_PORT: \d+", "_PORT: 1", text))
    return path


@pytest.mark.campaign
def test_detached_run_is_followed_by_others(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    wait = "import pathlib, time\nprint('begun', flush=True)\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.05)\nprint('ended')"
    notebook = notebook_tools.write_notebook(tmp_path / "in.ipynb", PARAMETERS, wait)
    code, output = camtest_left(environment, tmp_path, "run", str(notebook), "--detach")
    assert code == 0, output
    obsid = manager.list_observations(last=1)[0]["obsid"]
    assert obsid in output
    viewers = [start(camtest_command("attach", obsid), environment, tmp_path) for _ in range(2)]
    (tmp_path / "go").touch()
    for viewer in viewers:
        code, shown = finish(viewer)
        assert code == 0
        assert "begun" in shown
        assert "ended" in shown
        assert shown.rstrip().endswith("done")
    assert eventually(lambda: closed(manager), 20)["status"] == "done"
    code, output = camtest_left(environment, tmp_path, "run", str(notebook), "--detach", "-p", "exposre", "1")
    assert code == 2
    assert "is not a parameter of this notebook" in output


def camtest_command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from camtest.cli import main; main()", *arguments]


def camtest_left(environment: dict[str, str], folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs a command that leaves a process of its own behind."""
    process = start(camtest_command(*arguments), environment, folder)
    output, _ = process.communicate(timeout=180)
    return process.returncode, output


STEP_ONE = "from camtest.core.results import store_result\nstore_result('offset', 1000.0 + exposure)"
STEP_TWO = """\
import pathlib
from camtest.core.results import stored_result
assert pathlib.Path("repaired").exists(), "broken"
print("offset", stored_result("offset"))
"""


@pytest.mark.campaign
def test_lost_run_goes_on_at_its_step_with_stored_results(
    environment: dict[str, str], manager: ConfigurationManagerProxy, tmp_path: Path
) -> None:
    path = notebook_tools.write_notebook(
        tmp_path / "in.ipynb", PARAMETERS, "import math", STEP_ONE, STEP_TWO, kernel="camtest"
    )
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells[-2:]:
        cell.metadata["tags"] = ["step"]
    nbformat.write(notebook, path)
    assert camtest(environment, tmp_path, "run", str(path), "-p", "exposure", "2.5")[0] == 1
    first = eventually(lambda: closed(manager), 20)
    (tmp_path / "repaired").touch()
    code, output = camtest(environment, tmp_path, "run", "--continues", first["obsid"])
    assert code == 0, output
    second = manager.list_observations(last=1)[0]
    assert second["obsid"] != first["obsid"]
    assert second["details"]["continues"] == first["obsid"]
    assert second["function"] == 'in(exposure="2.5")'
    code, shown = camtest(environment, tmp_path, "log", second["obsid"])
    assert "offset 1002.5" in shown
    assert "skipped" in shown
