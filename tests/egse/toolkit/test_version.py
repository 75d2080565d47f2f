from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from egse import version as version_module
from egse.gitinfo import git_info
from egse.settings import Settings
from egse.version import get_version_info, parse_version, version_report


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=develop"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit, holding a package file."""
    folder = tmp_path / "checkout"
    (folder / "egse").mkdir(parents=True)
    (folder / "egse" / "version.py").write_text("x = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def test_versions_in_the_settings() -> None:
    from camtest.version import VERSION as CAMTEST_VERSION
    from egse.version import RELEASE
    from egse.version import VERSION as CGSE_VERSION

    assert re.fullmatch(r"\d{4}\.\d{1,2}\.\d+\+CGSE", CGSE_VERSION)
    assert re.fullmatch(r"\d{4}\.\d{1,2}\.\d+\+TS", CAMTEST_VERSION)
    assert CGSE_VERSION in RELEASE
    assert CGSE_VERSION == Settings.load("Common-EGSE").VERSION
    with pytest.raises(AttributeError):
        _ = version_module.NOTHING


def test_settings_and_installation_agree() -> None:
    for block, suffix in (("Common-EGSE", "+CGSE"), ("Test Scripts", "+TS")):
        lines, warnings = version_report("X", block, "/nowhere/x.py", suffix)
        assert lines[0] == f"X version in Settings: {Settings.load(block).VERSION}"
        assert lines[1].startswith("X installed version = ")
        assert warnings == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2023.6.0+CGSE", ("2023.6.0", None, "CGSE", None, None)),
        ("2023.6.0+TS-0-g975d38e", ("2023.6.0", None, "TS", "0", "975d38e")),
        ("2022.3.0-rc.13+CGSE", ("2022.3.0", "-rc.13", "CGSE", None, None)),
        ("2026.47.0", ("2026.47.0", None, None, None, None)),
    ],
)
def test_parse_version(text: str, parts: tuple[str | None, ...]) -> None:
    assert tuple(parse_version(text).values()) == parts


def test_parse_version_refuses_others() -> None:
    with pytest.raises(ValueError, match=r"no version number: '1\.0'"):
        parse_version("1.0")


def test_git_without_a_release_tag(checkout: Path) -> None:
    info = git_info(checkout / "egse" / "version.py", "+CGSE")
    assert info is not None
    assert (info.folder, info.dirty, info.describe, info.commits) == (checkout.resolve(), False, None, 1)
    assert info.version("2026.47.0+CGSE") == f"2026.47.0+CGSE-1-g{info.hash[:7]}"


def test_git_with_release_tags(checkout: Path) -> None:
    file = checkout / "egse" / "version.py"
    git(checkout, "tag", "2026.46.0+CGSE")
    git(checkout, "tag", "2026.46.1+TS")
    git(checkout, "tag", "something")
    file.write_text("x = 2\n")
    info = git_info(file, "+CGSE")
    assert info is not None
    assert info.describe == f"2026.46.0+CGSE-0-g{info.hash[:7]}"
    assert info.dirty
    git(checkout, "commit", "-qam", "two")
    after = git_info(file, "+TS")
    assert after is not None
    assert re.fullmatch(r"2026\.46\.1\+TS-1-g[0-9a-f]{7,}", after.describe or "")


def test_a_file_inside_a_foreign_checkout_is_not_its_version(checkout: Path) -> None:
    installed = checkout / "venv" / "egse"
    installed.mkdir(parents=True)
    (installed / "version.py").write_text("")
    assert git_info(installed / "version.py") is None
    assert git_info(checkout.parent / "version.py") is None


def test_differences_are_warned_about(checkout: Path, local_settings: Callable[[str], Path]) -> None:
    git(checkout, "tag", "2026.46.0+CGSE")
    local_settings("Common-EGSE:\n  VERSION: 2025.1.0+CGSE\n")
    lines, warnings = version_report("CGSE", "Common-EGSE", str(checkout / "egse" / "version.py"), "+CGSE")
    assert re.fullmatch(r"CGSE git version = 2026\.46\.0\+CGSE-0-g[0-9a-f]+", lines[1])
    assert len(warnings) == 2
    assert "git version 2026.46.0+CGSE-0-g" in warnings[0]
    assert "differs from the Settings (2025.1.0+CGSE): update VERSION in settings.yaml" in warnings[0]
    assert "installed version" in warnings[1]


@pytest.mark.parametrize(("module", "title"), [("egse", "CGSE"), ("camtest", "CAMTEST")])
def test_version_modules(module: str, title: str, local_settings: Callable[[str], Path]) -> None:
    command = [sys.executable, "-m", f"{module}.version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.match(rf"{title} version in Settings: \d{{4}}\.\d+\.\d+\+(CGSE|TS)\n", done.stdout)
    assert f"{title} installed version = " in done.stdout
    local_settings("Common-EGSE:\n  VERSION: 2025.1.0+CGSE\nTest Scripts:\n  VERSION: 2025.1.0+TS\n")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"WARNING: {title} installed version" in done.stderr


def test_version_info_for_manifests() -> None:
    info = get_version_info()
    assert info["python"] == ".".join(map(str, sys.version_info[:3]))
    assert info["packages"]["PyYAML"]
    assert set(info) == {"cgse", "ts", "installed", "python", "platform", "git", "packages"}
    if info["git"] is not None:
        assert re.fullmatch(r"[0-9a-f]{40}", info["git"]["hash"])
        assert isinstance(info["git"]["dirty"], bool)
