"""What can be wrong with the working tree of the Setups, and what to do about it.

People touch the working tree by hand: edit a file, leave a merge half done, check out something else. Each of these is
found, has a name, and comes with the next step.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from egse.confman.git import GitError, run_git
from egse.setup import parse_setup_filename

_PENDING = {
    "MERGE_HEAD": ("merging", "merge"),
    "CHERRY_PICK_HEAD": ("merging", "cherry-pick"),
    "REVERT_HEAD": ("merging", "revert"),
    "rebase-merge": ("rebasing", "rebase"),
    "rebase-apply": ("rebasing", "rebase"),
}
"""What git leaves in its folder while something is half done: name of the finding, git command."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        name: what it is, one of the names in docs/setups.md.
        text: what was found.
        step: what to do next.
    """

    name: str
    text: str
    step: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}; {self.step}"

    def as_dict(self) -> dict[str, str]:
        """Returns it as it is sent to clients."""
        return asdict(self)


def hindrance(root: Path) -> Finding | None:
    """Returns why nothing can be committed in a working tree now; None when nothing is in the way."""
    try:
        folder = Path(run_git(root, "rev-parse", "--absolute-git-dir").strip())
    except GitError as exc:
        return Finding(
            "no-repository",
            f"{root} is no git repository: {exc}",
            f"make one (git init), clone the configuration repository there, or put its .git back; "
            f"if git speaks of dubious ownership: git config --global --add safe.directory {root}",
        )
    for name, (kind, command) in _PENDING.items():
        if (folder / name).exists():
            text = f"a {command} is half done in {root}"
            return Finding(kind, text, f"finish it, or: git -C {root} {command} --abort")
    try:
        run_git(root, "symbolic-ref", "--quiet", "HEAD")
    except GitError:
        return Finding(
            "detached",
            f"no branch is checked out in {root}, a commit would get lost",
            f"git -C {root} switch main (or whatever the branch of the Setups is called)",
        )
    return None


def hand_work(root: Path, folder: Path) -> Iterator[Finding]:
    """Finds what was done to the files of the Setups by hand.

    Args:
        root: the working tree.
        folder: the Setups in it.
    """
    top = Path(run_git(root, "rev-parse", "--show-toplevel").rstrip("\n"))  # what git's paths begin at
    folder = folder.resolve()
    status = run_git(
        root, "--no-optional-locks", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"
    )
    others = []
    for entry in filter(None, status.split("\0")):
        kind, path = entry[:2], top / entry[3:]
        if path.parent != folder or not parse_setup_filename(path):
            if kind != "??":
                others.append(entry[3:])
        else:
            yield _hand_work_on(kind, path, root)
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        yield Finding(
            "dirty",
            f"files that Setups may refer to are changed but not committed: {shown}",
            f"git -C {root} commit, or git -C {root} checkout -- FILE",
        )
    yield from _changed_later(root, folder)
    yield from _twice(folder)


def _hand_work_on(kind: str, path: Path, root: Path) -> Finding:
    if "D" in kind:
        text = f"{path.name} was removed by hand"
        return Finding("removed-by-hand", text, f"git -C {root} checkout HEAD -- {path}")
    if kind in ("??", "A ", "AM"):
        text = f"{path.name} was added by hand and is not committed"
        step = f"cm_cs submit {path} --description TEXT, then remove that file"
        return Finding("added-by-hand", text, step)
    return Finding(
        "changed-by-hand",
        f"{path.name} was changed by hand and is not committed",
        f"submit what it says now as a new Setup (cm_cs submit {path} --description TEXT), "
        f"and then: git -C {root} checkout HEAD -- {path}",
    )


def _changed_later(root: Path, folder: Path) -> Iterator[Finding]:
    """Finds Setups that were changed by a commit: what was recorded under their id was something else."""
    log = run_git(
        root, "log", "--no-renames", "--diff-filter=M", "--format=%x00%h", "--name-only", "--", str(folder)
    )
    first: dict[str, str] = {}
    for block in filter(None, log.split("\0")):
        commit, *names = block.split()
        for name in names:
            if parse_setup_filename(name):
                first[name] = commit
    for name, commit in sorted(first.items()):
        yield Finding(
            "changed-later",
            f"{Path(name).name} was changed after it had been submitted (commit {commit})",
            f"look at it with git -C {root} show {commit}; git -C {root} checkout {commit}~1 -- {name} brings the "
            "submitted one back",
        )


def _twice(folder: Path) -> Iterator[Finding]:
    names = sorted(path.name for path in folder.glob("SETUP_*.y*ml"))
    ids = Counter(parse_setup_filename(name) for name in names)
    for named, count in ids.items():
        if named is not None and count > 1:
            files = [name for name in names if parse_setup_filename(name) == named]
            yield Finding(
                "id-twice",
                f"Setup {named[1]} of {named[0]} is in {count} files: {', '.join(files)}; the last one is used",
                "rename the others to ids that are free (git mv) and commit that",
            )


def index_lock_hint(root: Path, problem: str) -> str:
    """Returns what to add to an error of git that is about its lock file."""
    if "index.lock" not in problem or "File exists" not in problem:
        return ""
    found = re.search(r"'([^']+index\.lock)'", problem)
    lock = found[1] if found else os.path.join(root, ".git", "index.lock")
    return f" (another git is at work there, or one was killed: if none is, remove {lock})"
