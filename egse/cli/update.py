"""Updating this software from the git remote `updates` (manual ch. 26.8): `cgse update`, `update_cgse`, `update_ts`.

- `develop`: the branch `develop` of a developer's checkout is rebased on `updates/develop` and installed editable.
- `ops --tag=TAG`: a release is checked out into a branch of its own and installed where `PLATO_INSTALL_LOCATION` says.

Nothing is touched before all conditions hold: a checkout of this software, no local changes, the right branch, the remote.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from egse.env import EnvError, get_common_egse_path, get_install_location

REMOTE = "updates"
BRANCH = "develop"
DISTRIBUTION = "camtest"

F = TypeVar("F", bound=Callable[..., Any])


class UpdateError(click.ClickException):
    """The update is refused or failed; the message says what to do."""


class Checkout:
    """A git checkout of this software.

    Args:
        folder: a folder within it.

    Raises:
        UpdateError: when it is no checkout of this software.
    """

    def __init__(self, folder: Path) -> None:
        top = self._run("rev-parse", "--show-toplevel", cwd=folder, check=False)
        if top.returncode:
            raise UpdateError(
                f"{folder} is no git checkout: change to the project folder, or name it with --repo=FOLDER"
            )
        self.folder = Path(top.stdout.strip())
        if _project_name(self.folder) != DISTRIBUTION:
            raise UpdateError(
                f"{self.folder} is no checkout of {DISTRIBUTION}: change to the project folder, or name it with --repo=FOLDER"
            )

    def git(self, *arguments: str) -> str:
        """Runs git and returns its output; raises UpdateError with git's own words when it fails."""
        done = self._run(*arguments, cwd=self.folder, check=False)
        if done.returncode:
            raise UpdateError(f"git {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def succeeds(self, *arguments: str) -> bool:
        """Says whether this git command succeeds."""
        return self._run(*arguments, cwd=self.folder, check=False).returncode == 0

    def require_clean(self) -> None:
        """Refuses tracked files with changes that are not committed, and operations that were not finished."""
        changes = self.git("status", "--porcelain", "--untracked-files=no").splitlines()
        if changes:
            raise UpdateError(
                f"there are uncommitted changes in {self.folder}:\n  "
                + "\n  ".join(changes[:10])
                + ("\n  ..." if len(changes) > 10 else "")
                + "\nCommit them in a branch of their own, or `git stash` before and `git stash pop` after the update."
            )

    def require_branch(self, branch: str) -> None:
        """Refuses another branch than this one."""
        current = self.git("branch", "--show-current") or "no branch (detached HEAD)"
        if current != branch:
            raise UpdateError(
                f"the current branch is {current}, updates go into {branch}: `git checkout {branch}` first"
            )

    def require_remote(self) -> None:
        """Refuses when there is no remote `updates`."""
        if not self.succeeds("remote", "get-url", REMOTE):
            raise UpdateError(
                f"there is no git remote '{REMOTE}': `git remote add {REMOTE} URL` with the address of the repository "
                f"that releases come from"
            )

    @staticmethod
    def _run(*arguments: str, cwd: Path, check: bool) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", *arguments], cwd=cwd, capture_output=True, text=True, check=check, timeout=600
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise UpdateError(f"git {' '.join(arguments)}: {exc}") from exc


def update_develop(checkout: Checkout) -> str:
    """Rebases the branch `develop` on `updates/develop`.

    Args:
        checkout: where.

    Returns:
        What changed, in one line.

    Raises:
        UpdateError: when a condition does not hold, or local commits do not fit on the update; the checkout is then as
            it was.
    """
    checkout.require_branch(BRANCH)
    checkout.require_clean()
    checkout.require_remote()
    checkout.git("fetch", "--tags", REMOTE)
    upstream = f"{REMOTE}/{BRANCH}"
    if not checkout.succeeds("rev-parse", "--verify", "--quiet", f"refs/remotes/{upstream}"):
        raise UpdateError(f"the remote '{REMOTE}' has no branch {BRANCH}: check `git remote -v`")
    before = checkout.git("rev-parse", "HEAD")
    try:
        checkout.git("rebase", upstream)
    except UpdateError as exc:
        checkout.succeeds("rebase", "--abort")
        raise UpdateError(
            f"your own commits on {BRANCH} do not fit on {upstream}; nothing was changed. Move them to a branch, "
            f"`git reset --hard {upstream}`, update again, and rebase that branch.\n{exc.message}"
        ) from exc
    after = checkout.git("rev-parse", "HEAD")
    if before == after:
        return f"{checkout.folder} is up to date ({after[:7]})"
    count = checkout.git("rev-list", "--count", f"{before}..{after}")
    return f"{checkout.folder}: {before[:7]} -> {after[:7]}, {count} new commits"


def update_ops(checkout: Checkout, tag: str) -> str:
    """Checks out a release into the branch `TAG-branch`.

    Args:
        checkout: where.
        tag: the release, e.g. `2026.47.0+CGSE`.

    Returns:
        What is checked out now, in one line.

    Raises:
        UpdateError: when a condition does not hold or there is no such release.
    """
    checkout.require_clean()
    checkout.require_remote()
    checkout.git("fetch", "--tags", REMOTE)
    if not checkout.succeeds("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}"):
        known = checkout.git("tag", "--list", "--sort=-creatordate").splitlines()[:5]
        raise UpdateError(f"there is no release {tag!r}; the last ones: {', '.join(known) or 'none'}")
    branch = f"{tag}-branch"
    release = checkout.git("rev-parse", f"refs/tags/{tag}^{{commit}}")
    if not checkout.succeeds("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"):
        checkout.git("checkout", "-b", branch, f"tags/{tag}")
    elif checkout.git("rev-parse", f"refs/heads/{branch}") != release:
        raise UpdateError(
            f"the branch {branch} exists and is not the release {tag}: somebody committed to it; rename it "
            f"(`git branch -m {branch} NAME`) and update again"
        )
    else:
        checkout.git("checkout", branch)
    return f"{checkout.folder}: release {tag} ({release[:7]}) in branch {branch}"


def install(python: Path, *arguments: str) -> None:
    """Installs with pip, its output on the terminal.

    Args:
        python: the interpreter of the environment to install into.
        arguments: of `pip install`.

    Raises:
        UpdateError: when pip fails.
    """
    command = [str(python), "-m", "pip", "install", *arguments]
    click.echo(f"$ {' '.join(command)}")
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise UpdateError(f"the checkout is updated, but its installation failed: {exc}") from exc


def _install_ops(checkout: Checkout, location: Path) -> None:
    """Installs into the virtual environment at `location`, which is made when it is not there."""
    python = location / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(location)], check=True)
        except (OSError, subprocess.CalledProcessError) as exc:
            raise UpdateError(f"cannot make a virtual environment in {location}: {exc}") from exc
    install(python, "--upgrade", str(checkout.folder))


def _project_name(folder: Path) -> str | None:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, tomllib.TOMLDecodeError):
        return None
    return project.get("name") if isinstance(project, dict) else None


def _common_options(function: F) -> F:
    function = click.option("--no-install", is_flag=True, help="Update the checkout only.")(function)
    return click.option(
        "--repo",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The project folder; by default the current folder (develop) or PLATO_COMMON_EGSE_PATH (ops).",
    )(function)


@click.command()
@_common_options
def develop(repo: Path | None, no_install: bool) -> None:
    """Bring your branch develop up to date and install it."""
    checkout = Checkout(repo or Path.cwd())
    click.echo(update_develop(checkout))
    if not no_install:
        install(Path(sys.executable), "-e", str(checkout.folder))


@click.command()
@click.option("--tag", required=True, help="The release, e.g. 2026.47.0+CGSE.")
@_common_options
def ops(tag: str, repo: Path | None, no_install: bool) -> None:
    """Check out a release and install it for operations."""
    try:
        location = None if no_install else get_install_location()
        checkout = Checkout(repo or get_common_egse_path())
    except EnvError as exc:
        raise UpdateError(str(exc)) from exc
    click.echo(update_ops(checkout, tag))
    if location is not None:
        _install_ops(checkout, location)


def _group(name: str, text: str) -> click.Group:
    return click.Group(name, commands={"develop": develop, "ops": ops}, help=text, no_args_is_help=True)


update = _group("update", "Update this software from the git remote 'updates'.")
update_cgse = _group("update_cgse", "Update the Common-EGSE from the git remote 'updates'.")


@click.group(name="update_ts", invoke_without_command=True)
@click.pass_context
def update_ts(context: click.Context) -> None:
    """Update the test scripts from the git remote 'updates'; without a command: develop.

    Common-EGSE and test scripts are one distribution: this does what update_cgse does.
    """
    if context.invoked_subcommand is None:
        context.invoke(develop, repo=None, no_install=False)


update_ts.add_command(develop)
update_ts.add_command(ops)
