"""The layer table of pyproject.toml holds: imports go down only, egse stays headless."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_imports_go_down_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "2 kept, 0 broken" in result.stdout


def test_every_module_has_its_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    listed = {name.strip() for layer in contracts[0]["layers"] for name in re.split("[:|]", layer)}
    packages = [(ROOT / "egse", "egse"), (ROOT / "camtest", "camtest"), (ROOT / "egse/logger", "egse.logger")]
    for folder, package in packages:
        modules = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        names = {f"{package}.{name}" for name in modules if not name.startswith("__")}
        missing = {n for n in names - listed if not any(other.startswith(f"{n}.") for other in listed)}
        assert missing <= {"egse.logger.records"}, f"not in the layer table: {sorted(missing)}"


def test_a_wrong_import_is_noticed(tmp_path: Path) -> None:
    for name in ("egse", "camtest"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "egse" / "clock.py").open("a") as clock:
        clock.write("\nimport egse.proxy  # upwards\n")
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert "egse.clock is not allowed to import egse.proxy" in result.stdout


def test_links_of_the_documentation_lead_somewhere() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "docs"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout
