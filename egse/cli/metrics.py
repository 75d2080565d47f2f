"""`cgse metrics config|dashboards|list|show`: what Prometheus and Grafana need, and a look at the metrics without them."""

from __future__ import annotations

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.env import get_data_storage_location, get_site_id
from egse.files import make_folder, write_atomically
from egse.metrics.dashboards import PACKAGED, grafana_files, packaged_files
from egse.metrics.parameters import site_dictionary
from egse.metrics.prometheus import (
    ALERTMANAGER_FILE,
    SERVER_FILE,
    TARGETS_FILE,
    Target,
    config_files,
    targets_json,
)
from egse.metrics.targets import find_targets
from egse.procman import ProcessManagerProxy
from egse.settings import Settings
from egse.site.sites import join_current_site
from egse.site.survey import server_names

TIMEOUT = 5.0
"""How long a server may take to tell its metrics [s]."""


@click.group()
def metrics() -> None:
    """Metrics for Prometheus, dashboards for Grafana.

    Example: cgse metrics config --dir /data/metrics
    """
    join_current_site()


_dir_option = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write into; default: `metrics` beside the data of the site.",
)


@metrics.command()
@_dir_option
@click.option(
    "--all", "everything", is_flag=True, help="All installed control servers, not those of the Setup."
)
@click.option("--server", "servers", multiple=True, help="Only these control servers; may be repeated.")
@click.option("--targets", "only_targets", is_flag=True, help="Write the list of servers only.")
@click.option("--print", "only_print", is_flag=True, help="Print the files instead of writing them.")
@tells_errors
def config(
    folder: Path | None, everything: bool, servers: tuple[str, ...], only_targets: bool, only_print: bool
) -> None:
    """Write the configuration of Prometheus (server, rules, list of servers) and of Alertmanager.

    The servers are those that the process manager knows: core services and those of the devices in the loaded Setup. When
    it does not answer, all that are installed. Prometheus notices a new list by itself.

    Example: cgse metrics config --dir /data/metrics
    """
    site, targets = get_site_id(), _targets(everything, servers)
    files = {TARGETS_FILE: targets_json(targets, site)} if only_targets else config_files(targets, site)
    if only_print:
        for name, text in files.items():
            click.echo(f"# {name}\n{text}")
        return
    place = folder or _metrics_folder()
    make_folder(place)
    for name, text in files.items():
        write_atomically(place / name, text.encode(), 0o640)
    click.echo(f"Wrote {', '.join(files)} to {place}: {len(targets)} servers of {site}")
    if not only_targets:
        click.echo(
            f"Start with:  prometheus --config.file={place / SERVER_FILE} --storage.tsdb.path={place / 'data'}\n"
            f"and          prometheus-alertmanager --config.file={place / ALERTMANAGER_FILE}"
        )


@metrics.command()
@_dir_option
@click.option(
    "--packaged", is_flag=True, help="Renew those that come with this software (for its developers)."
)
@tells_errors
def dashboards(folder: Path | None, packaged: bool) -> None:
    """Write the Grafana dashboards, and the provisioning by which Grafana finds Prometheus and them.

    They are made of the TM dictionary of the site: one for each MON screen, and those of the system, the camera, all
    temperatures, storage and log. The same as `export_grafana_dashboards`.

    Example: cgse metrics dashboards --dir /data/metrics/grafana
    """
    join_current_site()  # as the console script `export_grafana_dashboards` there is no group that does it
    if packaged:
        place, files = PACKAGED, packaged_files()
    else:
        place = (folder or _metrics_folder() / "grafana").resolve()
        address = str(Settings.load("Metrics").get("PROMETHEUS") or "localhost:9090")
        files = grafana_files(site_dictionary(), str(place), address)
    for name, text in files.items():
        make_folder((place / name).parent)
        write_atomically(place / name, text.encode(), 0o640)
    click.echo(
        f"Wrote {sum(name.endswith('.json') for name in files)} dashboards and provisioning to {place}"
    )
    click.echo(
        f"Start Grafana with GF_PATHS_PROVISIONING={place / 'provisioning'}, or link its files into that folder."
    )


@metrics.command("list")
@click.option(
    "--all", "everything", is_flag=True, help="All installed control servers, not those of the Setup."
)
@tells_errors
def list_(everything: bool) -> None:
    """List the servers, where they tell their metrics, and how many.

    Example: cgse metrics list
    """
    targets = _targets(everything, ())
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(_page, targets))
    width = max(len(target.server) for target in targets)
    for target, page in zip(targets, pages):
        lines = [line for line in page.splitlines() if line and not line.startswith("#")]
        click.echo(
            f"{target.server:<{width}}  {target.address:<21}  {f'{len(lines)} series' if lines else '-'}"
        )


@metrics.command()
@click.argument("server")
@click.argument("part", default="")
@tells_errors
def show(server: str, part: str) -> None:
    """Show the metrics of one server whose names contain PART, as Prometheus gets them.

    Example: cgse metrics show ogse_cs ATT
    """
    name = f"{server}_cs" if f"{server}_cs" in server_names() else server
    found = find_targets([name])
    page = _page(found[0]) if found else ""
    if not page:
        raise click.ClickException(f"{name} tells no metrics: is it running? (cgse metrics list)")
    for line in page.splitlines():
        subject = line.split(" ")[2] if line.startswith("#") else line.partition("{")[0].partition(" ")[0]
        if part.lower() in subject.lower():
            click.echo(line)


def _metrics_folder() -> Path:
    """Returns where Prometheus has its files, beside the data of the sites (storage ICD, section 2)."""
    return get_data_storage_location().parent / "metrics"


def _page(target: Target) -> str:
    try:
        with urllib.request.urlopen(f"http://{target.address}/metrics", timeout=TIMEOUT) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def _targets(everything: bool, servers: tuple[str, ...]) -> list[Target]:
    """Returns the chosen servers; those of the process manager when nothing is chosen."""
    if servers:
        return find_targets(servers)
    if everything:
        return find_targets()
    try:
        with ProcessManagerProxy() as manager:
            names = [status.name for status in manager.get_all_status().values()]
    except (ConnectionError, TimeoutError):
        click.echo("The process manager does not answer: these are all servers that are installed.", err=True)
        return find_targets()
    return find_targets(names)
