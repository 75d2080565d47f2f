"""The commands `check_hdf5_files` and `create_hdf5_report`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from egse.env import EnvError, get_data_storage_location
from egse.h5.check import FileReport
from egse.h5.check import check_hdf5_files as check
from egse.h5.index import RawFileIndex
from egse.h5.report import create_hdf5_report as make_report
from egse.h5.report import summary

_PATHS = click.argument("paths", type=click.Path(exists=True, path_type=Path), nargs=-1)
_OBSID = click.option(
    "--obsid", default=None, help="The raw files of this observation: SITE_SETUP_TEST or its number."
)


@click.command()
@_PATHS
@_OBSID
@click.option("--quiet", "-q", is_flag=True, help="Only files with findings.")
def check_hdf5_files(paths: tuple[Path, ...], obsid: str | None, quiet: bool) -> None:
    """Checks raw camera files against the ICD: structure, packets, CRCs, timecodes, observation.

    PATHS are files or folders. The exit code is 1 when a file has errors.

    Example: check_hdf5_files /data/CSL1/daily/20260102
    """
    reports = _reports(paths, obsid)
    for report in reports:
        if report.findings or not quiet:
            click.echo(f"{'good ' if report.is_good else 'ERROR'} {report.path}")
        for finding in report.findings:
            click.echo(f"      {finding}")
    click.echo(summary(reports))
    sys.exit(0 if all(report.is_good for report in reports) else 1)


@click.command()
@_PATHS
@_OBSID
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write to this file instead of the terminal; as HTML when its name ends in .html.",
)
@click.option("--html", is_flag=True, help="As an HTML page.")
def create_hdf5_report(paths: tuple[Path, ...], obsid: str | None, output: Path | None, html: bool) -> None:
    """Makes a report on raw camera files: what is in them, frame by frame, and what is wrong.

    Example: create_hdf5_report --obsid 1151 --output report.html
    """
    as_page = html or (output is not None and output.suffix.lower() in (".html", ".htm"))
    text = make_report(_reports(paths, obsid), html=as_page)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"the report cannot be written: {exc}") from exc
    click.echo(str(output))


def _reports(paths: tuple[Path, ...], obsid: str | None) -> list[FileReport]:
    chosen = list(paths)
    if obsid is not None:
        try:
            index = RawFileIndex(Path(get_data_storage_location()))
        except EnvError as exc:
            raise click.ClickException(str(exc)) from exc
        pattern = rf".+_\d{{5}}_{int(obsid):05d}" if obsid.isdigit() else obsid
        chosen += index.matching(pattern)
    reports = check(chosen)
    if not reports:
        raise click.ClickException("there are no raw files; name files, folders or an observation")
    return reports
