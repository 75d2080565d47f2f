"""`camtest batch PLAN.yaml`: many procedures by a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from camtest.cli.options import progress

if TYPE_CHECKING:
    from camtest.run.attempts import Attempt
    from camtest.run.batch import Batch, BatchState
    from camtest.run.plan import Item

EPILOG = """\b
Exit codes: 0 all done, 1 a step failed or the batch stopped, 2 the plan is wrong, 130 interrupted.

Example: camtest batch checks.yaml --estimate
"""


@click.command(epilog=EPILOG)
@click.argument("plan", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Check the plan and list its runs; start nothing.")
@click.option("--dry-run", is_flag=True, help="Dry-run everything, tell how long it takes; start nothing.")
@click.option("--estimate", is_flag=True, help="Dry-run everything first; start only when all of it passes.")
@click.option("--resume", is_flag=True, help="Go on with a batch where it stopped, instead of a plan.")
@click.option("--id", "batch_id", help="With --resume: which batch; the last one by default.")
@click.option("--skip", multiple=True, type=int, metavar="NUMBER", help="Leave this run out.")
@click.option(
    "--output-dir",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for executed notebooks and the report.",
)
@click.option("-j", "--jobs", type=click.IntRange(1), help="Dry runs and analysis at a time.")
@click.option("-q", "--quiet", is_flag=True, help="One line per run only.")
def batch(
    plan: Path | None,
    check: bool,
    dry_run: bool,
    estimate: bool,
    resume: bool,
    batch_id: str | None,
    skip: tuple[int, ...],
    output_dir: Path,
    jobs: int | None,
    quiet: bool,
) -> None:
    """Run the procedures of a plan, one observation each.

    Procedures that command hardware run one after the other; dry runs and analysis run beside them. A summary (HTML and
    JUnit XML) is in the output folder from the first run on.
    """
    from camtest.core.logs import log_as
    from camtest.run.batch import EXIT_CODES, BatchError, resume_batch, start_batch
    from camtest.run.batchreport import write_reports
    from camtest.run.plan import read_plan
    from camtest.run.pool import KernelPool

    if (plan is None) != resume:
        raise click.UsageError("give either a plan or --resume")
    log_as("camtest_batch")
    try:
        if plan is None:
            job = resume_batch(batch_id)
        else:
            read, items = read_plan(plan)
            if check:
                _list_items(items)
                return
            job = start_batch(read, items, plan, output_dir)
        _listen(job, quiet)
        for number in skip:
            job.skip(number)
        with KernelPool(jobs) as pool:
            if dry_run or estimate:
                total = job.estimate(pool)
                _list_items(job.state.items, job.state)
                click.echo(f"Expected to take {total:.0f} s together.")
            state = job.state if dry_run else job.run(pool)
    except BatchError as exc:
        raise click.ClickException(str(exc)) from exc
    try:
        reports = write_reports(state)
    except OSError as exc:
        click.secho(f"The report could not be written: {exc}", fg="red", err=True)
        reports = []
    if dry_run:
        return
    _summarise(state, reports)
    raise SystemExit(EXIT_CODES[state.status])


def _listen(job: Batch, quiet: bool) -> None:
    from camtest.run.batchreport import write_reports

    count = len(job.state.items)

    def on_item(item: Item, attempt: Attempt | None) -> None:
        head = f"({item.number}/{count}) {item.label}"
        if attempt is None:
            click.secho(head, bold=True)
            return
        colour = "green" if attempt.status == "done" else "red"
        obsid = f" {attempt.obsid}" if attempt.obsid else ""
        reason = f": {attempt.reason}" if attempt.reason else ""
        took = f"  {attempt.end - attempt.start:.1f} s"
        click.echo(f"{head}{obsid} {click.style(attempt.status, fg=colour)}{reason}{took}")

    def on_change(state: BatchState) -> None:
        try:
            write_reports(state)
        except OSError as exc:
            click.secho(f"The report could not be written: {exc}", fg="red", err=True)

    job.on_item = on_item
    job.on_start = lambda obsid: click.echo(f"Observation {obsid}")
    job.on_change = on_change
    job.report = None if quiet else progress()


def _list_items(items: list[Item], state: BatchState | None = None) -> None:
    for item in items:
        estimate = None if state is None else state.estimates.get(item.number)
        took = "" if estimate is None or estimate.duration is None else f"  {estimate.duration:.0f} s"
        mode = "" if item.mode == "run" else f" [{item.mode}]"
        click.echo(f"{item.number:>4}  {item.label}{mode}{took}")


def _summarise(state: BatchState, reports: list[Path]) -> None:
    from camtest.run.batchreport import counts

    summary = ", ".join(f"{count} {status}" for status, count in counts(state).items())
    click.echo(f"Batch {state.batch_id}: {state.status} ({summary})")
    for report in reports:
        click.echo(f"Report      {report}")
    if state.status in ("stopped", "interrupted"):
        click.echo(f"Go on with: camtest batch --resume --id {state.batch_id}")
