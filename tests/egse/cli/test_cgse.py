"""The command `cgse`, as a user meets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from egse.cli import COMMANDS, main
from egse.cli.common import format_duration
from egse.process import Supervision
from egse.process.identity import marked_processes
from egse.site import programs
from egse.site.layout import SiteError, SiteLayout
from egse.site.ports import release_block
from egse.site.programs import Entry, Kind

SERVER = """#!{python}
import signal, sys
if sys.argv[1:2] != ["start"]:
    sys.exit("usage: start")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("READY {name} tcp://127.0.0.1:1", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def cgse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs `cgse`; returns exit code and everything it printed. Errors that are bugs come through."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return run


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts small programs in the place of the servers of the table."""
    entries = (Entry("log_cs", Kind.CORE, "log"), Entry("sm_cs", Kind.CORE, "storage", stage=1))
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("log_cs", "sm_cs", "ogse_cs"):
        script = folder / name
        script.write_text(SERVER.format(python=sys.executable, name=name))
        script.chmod(0o755)
    monkeypatch.setattr(programs, "TABLE", entries)
    monkeypatch.setattr(programs, "script", lambda name: str(folder / name))


def all_commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    with click.Context(command) as context:
        names = command.list_commands(context)
        children = [(name, command.get_command(context, name)) for name in names]
    return [
        path,
        *(found for name, child in children if child for found in all_commands(child, (*path, name))),
    ]


@pytest.mark.parametrize("path", all_commands(main), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], cgse) -> None:
    code, output = cgse(*path, "--help")

    assert code == 0
    if path[:1] != ("update",):
        assert "Example:" in output
    assert "Usage:" in output


def test_the_help_of_cgse_imports_no_sub_command() -> None:
    source = (
        "import sys\n"
        "from egse.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('egse.', 'zmq', 'psutil', 'numpy'))))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)

    assert done.stdout.rstrip().endswith("['egse.cli']")
    assert all(name in done.stdout for name in COMMANDS)


def test_sandbox_from_start_to_stop(cgse, stand_ins: None, tmp_path: Path) -> None:
    folder = str(tmp_path / "box")
    assert cgse("sandbox", "status", "--dir", folder)[0] == 1
    code, output = cgse("sandbox", "start", "--dir", folder, "--speed", "5")
    assert code == 0, output
    assert "log_cs" in output
    assert f"cgse sandbox env --dir {folder}" in output

    code, output = cgse("sandbox", "start", "--dir", folder)
    assert (code, output.splitlines()[0]) == (0, "Running already: log_cs, sm_cs")
    code, output = cgse("sandbox", "start", "--dir", folder, "--speed", "6")
    assert code == 1
    assert "stop it first" in output

    assert cgse("sandbox", "status", "--dir", folder)[0] == 0
    assert cgse("sandbox", "stop", "--dir", folder) == (0, "Stopped: log_cs, sm_cs\n")
    assert cgse("sandbox", "stop", "--dir", folder) == (0, "Nothing was running.\n")
    assert cgse("sandbox", "status", "--dir", folder)[0] == 1
    assert marked_processes(Path(folder) / "data" / "LAB" / "run") == []
    release_block(Path(folder))


def test_a_shell_joins_a_sandbox(cgse, stand_ins: None, tmp_path: Path) -> None:
    folder = tmp_path / "box with 'quotes'"
    assert cgse("sandbox", "env", "--dir", str(folder))[0] == 1
    cgse("sandbox", "start", "--dir", str(folder))
    cgse("sandbox", "stop", "--dir", str(folder))
    _, exports = cgse("sandbox", "env", "--dir", str(folder))
    source = "import egse.env as e; print(e.get_site_id(), e.get_log_file_location())"
    done = subprocess.run(
        ["bash", "-c", f'{exports}\n"{sys.executable}" -c "{source}"'],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"LAB {folder / 'log'}\n"
    release_block(folder)


def test_run_starts_runs_stops_and_passes_the_exit_code_on(cgse, stand_ins: None, tmp_path: Path) -> None:
    folder = tmp_path / "box"
    source = "import os, sys; print(os.environ['PLATO_LOCAL_SETTINGS'], file=open('out', 'w')); sys.exit(7)"
    code, _ = cgse(
        "sandbox",
        "run",
        "--dir",
        str(folder),
        "--speed",
        "3",
        "--",
        sys.executable,
        "-c",
        source.replace("'out'", repr(str(tmp_path / "out"))),
    )

    assert code == 7
    assert (tmp_path / "out").read_text() == f"{folder / 'settings.yaml'}\n"
    assert marked_processes(folder / "data" / "LAB" / "run") == []
    code, output = cgse("sandbox", "run", "--dir", str(folder), "--", "/no/such/program")
    assert code == 1
    assert "/no/such/program cannot be run: No such file" in output
    cgse("sandbox", "start", "--dir", str(folder))
    cgse("sandbox", "run", "--dir", str(folder), "--", "true")
    assert len(marked_processes(folder / "data" / "LAB" / "run")) == 3, "what ran before keeps running"
    cgse("sandbox", "stop", "--dir", str(folder))
    release_block(folder)


def test_core_services_of_a_real_site(cgse, stand_ins: None, site: SiteLayout) -> None:
    assert cgse("core", "status")[0] == 1
    code, output = cgse("core", "start")
    assert code == 0, output
    assert cgse("core", "start")[1].startswith("Running already: log_cs, sm_cs")
    assert cgse("core", "status")[0] == 0

    code, output = cgse("device", "ogse", "start", "--simulator")
    assert code == 0, output
    assert cgse("device", "ogse", "status")[0] == 0
    code, output = cgse("device", "ogse", "start")
    assert code == 1
    assert "with the simulator: stop it first" in output
    assert cgse("core", "stop") == (0, "Stopped: log_cs, sm_cs\n")
    assert cgse("device", "ogse", "status")[0] == 0, "device servers outlive the core services"
    assert cgse("device", "ogse", "stop") == (0, "Stopped: ogse_cs\n")
    assert cgse("core", "stop") == (0, "Nothing was running.\n")
    assert [p.cmdline() for p in marked_processes(site.data / "run")] == []


def test_core_services_that_are_partly_up(cgse, stand_ins: None, site: SiteLayout) -> None:
    assert cgse("core", "stop") == (0, "Nothing was running.\n")
    assert cgse("core", "start")[0] == 0
    Supervision(site.run, site.log).withdraw(["sm_cs"])
    code, output = cgse("core", "status")
    assert code == 1
    assert [line.split()[:2] for line in output.splitlines()[1:3]] == [
        ["log_cs", "running"],
        ["sm_cs", "stopped"],
    ]

    code, output = cgse("core", "start")
    assert code == 0
    assert output.startswith("Running already: log_cs\n")
    assert "sm_cs   running" in output
    Supervision(site.run, site.log).withdraw(["log_cs"])
    assert cgse("core", "stop") == (0, "Stopped: sm_cs\n")
    assert cgse("core", "stop") == (0, "Nothing was running.\n")


def test_a_core_service_that_is_not_installed_is_left_out(
    cgse, stand_ins: None, site: SiteLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_log(name: str) -> str:
        if name != "log_cs":
            raise SiteError(f"the command {name} is not installed")
        return script(name)

    script = programs.script
    monkeypatch.setattr(programs, "script", only_log)
    code, output = cgse("core", "start")
    assert code == 0, output
    assert "sm_cs" not in output
    assert cgse("core", "stop") == (0, "Stopped: log_cs\n")


def test_a_core_service_that_fails_is_told_with_its_reason(
    cgse, stand_ins: None, site: SiteLayout, tmp_path: Path
) -> None:
    (tmp_path / "bin" / "sm_cs").write_text(f"#!{sys.executable}\nimport no_such_library\n")
    code, output = cgse("core", "start")

    assert code == 1
    assert "sm_cs is fatal" in output
    assert "No module named 'no_such_library'" in output
    assert "Traceback" not in output.split("sm_cs is fatal")[0]
    assert "log_cs" in output
    cgse("core", "stop")
    assert [p.cmdline() for p in marked_processes(site.data / "run")] == []


def test_without_a_site_it_says_what_to_do(cgse) -> None:
    code, output = cgse("core", "start")

    assert code == 1
    assert "SITE_ID is not set" in output
    assert "cgse site" in output


def test_sites_on_the_command_line(
    cgse, stand_ins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cgse site new" in cgse("site", "list")[1]
    folder = tmp_path / "csl1"
    code, output = cgse("site", "new", "CSL1", "--dir", str(folder))
    assert code == 0, output
    code, output = cgse("site", "use", "CSL1")
    assert f"export PLATO_LOCAL_SETTINGS={folder}/settings.yaml" in output
    assert cgse("site", "list")[1].split() == ["*", "CSL1", str(folder)]
    assert cgse("site", "use", "CSL2")[0] == 1
    release_block(folder)


def test_unknown_devices_and_versions(cgse, site: SiteLayout) -> None:
    code, output = cgse("device", "ogs", "start")
    assert code == 1
    assert "did you mean 'ogse_cs'?" in output
    code, output = cgse("device", "start")
    assert code == 2
    assert "which server? cgse device NAME start" in output
    code, output = cgse("device", "ogse", "strat")
    assert code == 2
    assert "'strat' is none of start, stop, status" in output
    assert cgse("device", "status") == cgse("device")
    assert cgse("device", "status", "ogse") == cgse("device", "ogse", "status")
    code, output = cgse("version")
    assert code == 0
    assert "CGSE version in Settings" in output


def test_durations() -> None:
    assert [format_duration(s) for s in (None, -1, 5.9, 65, 7260, 90_000)] == [
        "-", "0 s", "5 s", "1 min 05 s", "2 h 01 min", "1 d 01 h",
    ]  # fmt: skip
