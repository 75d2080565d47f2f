"""`cgse archive index|sync|verify|prune|status`: the data of a site, their index and their copies elsewhere."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from egse.cli.common import tells_errors

if TYPE_CHECKING:
    from egse.archive.retention import Outlook, PrunePlan
    from egse.archive.rsync import Destination, Progress
    from egse.archive.sync import SyncPlan, SyncReport

P = ParamSpec("P")
T = TypeVar("T")

LOCATION = click.option(
    "--data-dir",
    "location",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder of the site; that of the environment, or of the current site, by default.",
)
SHOWN = 20
"""So many problems or files are listed."""


@click.group()
def archive() -> None:
    """The data of a site: index, copies elsewhere, what may be removed here.

    Example: cgse archive sync --to /archive
    """


def in_words(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: what goes wrong here is told in words."""

    @tells_errors
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        from egse.archive.rsync import SyncError

        try:
            return function(*args, **kwargs)
        except (SyncError, BlockingIOError, LookupError) as exc:
            raise click.ClickException(str(exc)) from exc
        except OSError as exc:
            raise click.ClickException(
                f"{exc.strerror or exc}: {exc.filename}" if exc.filename else str(exc)
            ) from exc

    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def site_of(location: Path | None) -> Path:
    """Returns the data folder of the site that is meant: `location`, else that of the environment or the current site."""
    from egse.archive import site_folder
    from egse.site.sites import join_current_site

    if location is None:
        join_current_site()
    return site_folder(location)


@archive.command("index")
@click.option("--rebuild", is_flag=True, help="Make it anew from the files.")
@LOCATION
@in_words
def index_(rebuild: bool, location: Path | None) -> None:
    """Bring the index of observations and files up to date.

    Commands do so by themselves; this is for big archives that were copied or repaired. Example: cgse archive index --rebuild
    """
    from egse.archive import ArchiveIndex
    from egse.archive.index_files import FileIndex

    with ArchiveIndex(site_of(location)) as index:
        if rebuild:
            index.rebuild()
        files = FileIndex(index)
        files.refresh()
        number, size = index.connection.execute("SELECT count(*), ifnull(sum(size), 0) FROM files").fetchone()
        click.echo(f"{index.count()} observations, {number} files, {format_size(size)}")
        click.echo(
            f"index: {index.path or 'in memory only (neither the archive nor the cache can be written)'}"
        )


@archive.command()
@click.option(
    "--to", "destination", help="Folder, user@host:path or rsync://host/module/path; default in the settings."
)
@click.option("--bwlimit", help="Largest rate: kB/s, or 500k, 20m; default in the settings.")
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@click.option(
    "--no-live", is_flag=True, help="Leave out what still grows (running observation, today's rows)."
)
@click.option("--quiet", is_flag=True, help="No progress bar; print problems only.")
@LOCATION
@in_words
def sync(
    destination: str | None,
    bwlimit: str | None,
    dry_run: bool,
    no_live: bool,
    quiet: bool,
    location: Path | None,
) -> None:
    """Copy new data elsewhere and verify the copies by checksum; exit code 1 when one is not right.

    It may be interrupted at any time and goes on there the next time. Nothing is removed, neither here nor there.
    Example: cgse archive sync --to plato@archive.example.org:/archive --bwlimit 20m
    """
    from egse.archive import sync as engine

    site = site_of(location)
    target = _destination(destination, site)
    if dry_run:
        _print_sync_plan(engine.plan_sync(site, target), target)
        return
    with _ended_by_signals(), _progress(quiet) as progress:
        report = engine.sync(site, target, bwlimit=_bwlimit(bwlimit), live=not no_live, progress=progress)
    _print_report(report, f"verified at {target.name}", quiet)


@archive.command()
@click.argument("destination", required=False)
@click.option("--quiet", is_flag=True, help="No progress bar; print problems only.")
@LOCATION
@in_words
def verify(destination: str | None, quiet: bool, location: Path | None) -> None:
    """Check all copies at DESTINATION again by their content; exit code 1 when one is not right.

    Example: cgse archive verify /archive
    """
    from egse.archive import sync as engine

    site = site_of(location)
    target = _destination(destination, site)
    with _ended_by_signals(), _progress(quiet) as progress:
        report = engine.verify_copies(site, target, progress)
    _print_report(report, f"are right at {target.name}", quiet)


@archive.command()
@click.option("--yes", is_flag=True, help="Remove; without it only say what would be removed.")
@click.option("--recheck", is_flag=True, help="Compare the checksums of all copies again before.")
@LOCATION
@in_words
def prune(yes: bool, recheck: bool, location: Path | None) -> None:
    """Remove data here by the rules of the settings (block Archive), only what is verified elsewhere.

    Example: cgse archive prune --yes
    """
    from egse.archive import retention

    site = site_of(location)
    rules = retention.Rules.load()
    plan = retention.plan_prune(site, rules)
    _print_prune_plan(plan)
    _print_outlook(_outlook(site))
    if not yes:
        if plan.remove:
            click.echo("Nothing was removed: say --yes to remove.")
        return
    with _ended_by_signals(), _progress(not recheck) as progress:
        removed, problems = retention.prune(site, plan, rules, recheck=recheck, progress=progress)
    click.echo(f"Removed: {len(removed)} files, {format_size(sum(each.file.size for each in removed))}")
    _print_problems(problems)
    if removed:
        _print_outlook(_outlook(site))
    sys.exit(1 if problems else 0)


@archive.command()
@LOCATION
@in_words
def status(location: Path | None) -> None:
    """Show copies, what has none yet, and how long the disk lasts.

    Example: cgse archive status
    """
    from egse.archive.copies import FAILED, VERIFIED, Copies
    from egse.archive.rsync import Destination
    from egse.archive.sync import plan_sync
    from egse.system import format_datetime, from_unix_time

    site = site_of(location)
    with Copies(site) as copies:
        removed = copies.removed()
        for name in copies.destinations():
            at = copies.at(name).values()
            good = [copy for copy in at if copy.state == VERIFIED]
            last = format_datetime(from_unix_time(max(copy.checked for copy in at)))
            click.echo(
                f"{name}: {len(good)} files verified, {format_size(sum(c.size for c in good))}; last {last}"
            )
            waiting = plan_sync(site, Destination(name, None))
            click.echo(f"    without a verified copy: {len(waiting.new)} files, {format_size(waiting.size)}")
            _print_problems([f"{copy.path}: {copy.problem}" for copy in at if copy.state == FAILED])
        if not copies.destinations():
            click.echo("No copies yet: cgse archive sync --to DESTINATION")
    if removed:
        size = format_size(sum(each.size for each in removed.values()))
        click.echo(f"Removed here: {len(removed)} files, {size}")
    _print_outlook(_outlook(site))


# -- printing ------------------------------------------------------------------------------------------------------


def format_size(size: float) -> str:
    """Returns a number of bytes as people read it, e.g. `1.2 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _print_sync_plan(plan: SyncPlan, target: Destination) -> None:
    click.echo(
        f"To {target.name}: {len(plan.new)} files, {format_size(plan.size)}; verified before: {plan.done}"
    )
    for item in plan.new[:SHOWN]:
        click.echo(f"  {format_size(item.size):>10}  {item.path}")
    if len(plan.new) > SHOWN:
        click.echo(f"  ... and {len(plan.new) - SHOWN} more")
    click.echo(f"Still growing, copied as they are: {len(plan.live)} files")
    _print_problems(plan.problems)


def _print_report(report: SyncReport, what: str, quiet: bool) -> None:
    if not quiet or report.problems:
        click.echo(f"{report.verified} files, {format_size(report.size)}, {what}")
    _print_problems(report.problems)
    sys.exit(1 if report.problems else 0)


def _print_prune_plan(plan: PrunePlan) -> None:
    for kind, (number, size) in plan.by_kind().items():
        click.echo(f"{kind:<5} {number} files, {format_size(size)} may be removed")
    for candidate in plan.remove[:SHOWN]:
        where = ", ".join(candidate.destinations)
        click.echo(
            f"  {format_size(candidate.file.size):>10}  {candidate.file.path}  ({candidate.age:.0f} days old, "
            f"{candidate.reason}; copy at {where})"
        )
    if len(plan.remove) > SHOWN:
        click.echo(f"  ... and {len(plan.remove) - SHOWN} more")
    if not plan.remove:
        click.echo("Nothing may be removed.")
    for reason, number in sorted(plan.kept.items()):
        click.echo(f"{number} files stay: {reason}")


def _outlook(site: Path) -> Outlook:
    from egse.archive import ArchiveIndex
    from egse.archive.index_files import FileIndex
    from egse.archive.retention import outlook
    from egse.system import format_datetime, unix_time

    with ArchiveIndex(site) as index:
        FileIndex(index).refresh()
        return outlook(index, unix_time(format_datetime()))


def _print_outlook(outlook: Outlook) -> None:
    share = outlook.free / outlook.total
    click.echo(f"Disk: {format_size(outlook.free)} of {format_size(outlook.total)} free ({share:.0%})")
    if outlook.days is None:
        click.echo("No new data in the last 7 days.")
    else:
        click.echo(f"New data: {format_size(outlook.rate)} a day; {outlook.days:.1f} days left at this rate")


def _print_problems(problems: list[str]) -> None:
    for problem in problems[:SHOWN]:
        click.secho(problem, fg="red", err=True)
    if len(problems) > SHOWN:
        click.secho(f"... and {len(problems) - SHOWN} more problems", fg="red", err=True)


# -- help ----------------------------------------------------------------------------------------------------------


def _destination(given: str | None, site: Path) -> Destination:
    from egse.archive.retention import SETTINGS
    from egse.archive.rsync import Destination
    from egse.settings import Settings

    text = given or str(Settings.load(SETTINGS).get("DESTINATION") or "")
    if not text:
        raise click.UsageError(
            f"where to? Give a destination, or set {SETTINGS}: DESTINATION in the local settings"
        )
    return Destination.parse(text, site)


def _bwlimit(given: str | None) -> str:
    from egse.archive.retention import SETTINGS
    from egse.settings import Settings

    return given if given is not None else str(Settings.load(SETTINGS).get("BWLIMIT") or "")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ends the command, and the rsync that it runs, on SIGTERM and SIGHUP."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """Yields what is told how far it is; a bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total or None)

        yield tell
