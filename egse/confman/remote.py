"""The remote repository of the Setups: looked at, merged from, pushed to.

Ids never collide unnoticed: before an id is given out the remote is looked at (when it answers), and an id is free only
if no commit on any branch that is known here ever had it. When the remote was away and somebody pushed the same id to it
meanwhile, nothing is merged nor pushed: it is said which two files have the id.
"""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from egse.confman.checkout import Finding, hindrance
from egse.confman.git import GitError, run_git
from egse.confman.repository import SetupRepository
from egse.setup import parse_setup_filename

LOGGER = logging.getLogger(__name__)

PUSH_TIMEOUT = 120.0
"""How long a fetch or a push may take in the background [s]."""
LOOK_TIMEOUT = 5.0
"""How long a submission waits for the remote, to learn which ids are taken [s]."""
_RACES = 3
"""How often it is tried again when somebody else has just pushed."""

_NO_ACCESS = (
    "permission",
    "denied",
    "403",
    "401",
    "authentication",
    "not allowed",
    "read-only",
    "read only",
    "declined",
    "protected",
    "host key verification",
)
_BEHIND = ("non-fast-forward", "fetch first", "failed to update ref", "cannot lock ref")


class State(enum.Enum):
    """How the Setups here and those of the remote are to each other."""

    NONE = "no remote"
    DONE = "done"
    PENDING = "pending"
    AWAY = "remote-away"
    REFUSED = "remote-refuses"
    AHEAD = "remote-ahead"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Outcome:
    """What came out of an attempt to bring both sides together.

    Attributes:
        state: where things stand.
        text: what is in the way; empty when nothing is.
        step: what to do next; empty when it goes on by itself.
    """

    state: State
    text: str = ""
    step: str = ""

    def finding(self) -> Finding | None:
        """Returns what is to be told; None when all is well."""
        if not self.text:
            return None
        return Finding(self.state.value, self.text, self.step or "nothing to do, it is tried again by itself")


class Remote:
    """The remote of a repository of Setups; methods may be called from any thread.

    Args:
        repository: the Setups here.
        cancel: when it is set, a git command that is running is ended.
    """

    def __init__(self, repository: SetupRepository, cancel: threading.Event) -> None:
        self._repository = repository
        self._root = repository.root
        self._cancel = cancel
        self._lock = threading.Lock()
        self.away = False

    def look(self, timeout: float = LOOK_TIMEOUT) -> None:
        """Learns what is on the remote, if it answers soon; nothing here changes but what git knows about it."""
        name = self._repository.remote()
        if name is None or self.away or not self._lock.acquire(timeout=timeout):
            return
        try:
            self._fetch(name, self._branch(), timeout)
        except GitError as exc:
            self.away = True
            LOGGER.warning("the remote is not looked at: %s", exc)
        finally:
            self._lock.release()

    def bring_together(self, may_merge: Callable[[], bool] = lambda: True) -> Outcome:
        """Takes over what is new on the remote and pushes what is new here.

        Args:
            may_merge: whether files here may change now.
        """
        name = self._repository.remote()
        if name is None:
            return Outcome(State.NONE)
        with self._lock:
            try:
                branch = self._branch()
                outcome = self._bring_together(name, branch, may_merge)
            except GitError as exc:
                outcome = self._explain(name, exc)
        self.away = outcome.state is State.AWAY
        return outcome

    def _bring_together(self, name: str, branch: str, may_merge: Callable[[], bool]) -> Outcome:
        try:
            self._run("rev-parse", "--verify", "--quiet", "HEAD")
        except GitError:
            return Outcome(State.PENDING)  # nothing is committed yet
        for attempt in range(_RACES):
            upstream = self._fetch(name, branch, PUSH_TIMEOUT)
            ahead, behind = self._distance(upstream)
            if behind and (outcome := self._merge(upstream, behind, ahead, may_merge)) is not None:
                return outcome
            if upstream and not ahead:
                return Outcome(State.DONE)
            try:
                target = f"HEAD:refs/heads/{branch}"
                self._run("push", "--quiet", "--no-verify", name, target, timeout=PUSH_TIMEOUT)
                return Outcome(State.DONE)
            except GitError as exc:
                if attempt + 1 == _RACES or not any(word in str(exc) for word in _BEHIND):
                    raise
        raise AssertionError("unreachable")

    def _branch(self) -> str:
        return self._run("symbolic-ref", "--short", "HEAD").strip()

    def _run(self, *arguments: str, timeout: float = 30.0) -> str:
        return run_git(self._root, *arguments, timeout=timeout, cancel=self._cancel)

    def _fetch(self, name: str, branch: str, timeout: float) -> str:
        """Fetches the branch; returns the name of what was fetched, empty when the remote has no such branch yet."""
        upstream = f"refs/remotes/{name}/{branch}"
        try:
            self._run(
                "fetch", "--quiet", "--no-tags", name, f"+refs/heads/{branch}:{upstream}", timeout=timeout
            )
        except GitError as exc:
            if "couldn't find remote ref" in str(exc):
                return ""
            raise
        return upstream

    def _distance(self, upstream: str) -> tuple[int, int]:
        """Returns how many commits are only here, and only there."""
        if not upstream:
            return 1, 0
        ahead, behind = self._run("rev-list", "--left-right", "--count", f"HEAD...{upstream}").split()
        return int(ahead), int(behind)

    # -- merging -------------------------------------------------------------------------------------------------

    def _merge(self, upstream: str, behind: int, ahead: int, may_merge: Callable[[], bool]) -> Outcome | None:
        """Takes over what is new on the remote; returns what is in the way, None when it is done."""
        if clash := self._clash(upstream):
            return clash
        with self._repository.locked():
            if found := hindrance(self._root):
                return Outcome(
                    State.AHEAD, f"the remote has {behind} commit(s) more, but {found.text}", found.step
                )
            if not may_merge():
                waits = " and what is new here is not pushed" if ahead else ""
                text = f"the remote has {behind} commit(s) more; they are taken over after the observation{waits}"
                return Outcome(State.AHEAD, text)
            before = self._run("rev-parse", "HEAD").strip()
            options = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false")
            try:
                self._run(*options, "merge", "--quiet", "--no-edit", upstream)
            except GitError as exc:
                return self._undo(before, upstream, behind, exc)
        LOGGER.info("%d commit(s) of the remote were taken over", behind)
        return None

    def _undo(self, before: str, upstream: str, behind: int, problem: GitError) -> Outcome:
        """Leaves the working tree as it was before a merge that does not work."""
        try:
            self._run("merge", "--abort")
        except GitError:
            LOGGER.debug("nothing to abort: git refused the merge before it began")
        if self._run("rev-parse", "HEAD").strip() != before:
            LOGGER.error("the branch moved during a merge that failed: %s", problem)
        said = " ".join(str(problem).split())
        return Outcome(
            State.DIVERGED,
            f"the remote has {behind} commit(s) that cannot be taken over: {said}",
            f"commit or put back what is changed in {self._root}, then merge by hand: git -C {self._root} merge {upstream}; "
            "then: cm_cs sync",
        )

    def _clash(self, upstream: str) -> Outcome | None:
        """Finds an id that was given out on both sides."""
        here, there = self._ids("HEAD"), self._ids(upstream)
        for number in sorted(here.keys() & there.keys()):
            if others := there[number] - here[number]:
                return Outcome(
                    State.DIVERGED,
                    f"Setup {number:05d} was given out twice: {', '.join(sorted(here[number]))} here and "
                    f"{', '.join(sorted(others))} on the remote",
                    "on the remote, rename its file to the next free id (git mv, commit, push from another clone); "
                    "the one here may already be in the record of observations",
                )
        return None

    def _ids(self, commit: str) -> dict[int, set[str]]:
        """Returns the names of the files of every Setup id in a commit."""
        folder = self._repository.folder.relative_to(self._root)
        names = self._run("ls-tree", "-z", "--name-only", commit, f"{folder}/").split("\0")
        found: dict[int, set[str]] = {}
        for name in names:
            if (parsed := parse_setup_filename(name)) and parsed[0] == self._repository.site_id:
                found.setdefault(int(parsed[1]), set()).add(Path(name).name)
        return found

    # -- what went wrong -----------------------------------------------------------------------------------------

    def _explain(self, name: str, problem: GitError) -> Outcome:
        said = " ".join(str(problem).split())
        lower = said.lower()
        if "symbolic-ref" in lower:
            return Outcome(State.PENDING, said, f"git -C {self._root} switch main")
        if any(word in lower for word in _NO_ACCESS):
            access = "access" if lower.startswith("git fetch") else "write access"
            step = f"give the key of this account {access} to {self._url(name)}, then: cm_cs sync"
            return Outcome(State.REFUSED, said, step)
        return Outcome(State.AWAY, said)

    def _url(self, name: str) -> str:
        try:
            return run_git(self._root, "remote", "get-url", "--push", name).strip()
        except GitError:
            return name
