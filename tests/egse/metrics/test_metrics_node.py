"""Figures of the machine."""

from __future__ import annotations

import shutil

import pytest

from egse.metrics.figures import Figure
from egse.metrics.node import node_figures
from egse.site.layout import SiteLayout


def figures() -> dict[str, Figure]:
    found = list(node_figures())
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


def test_the_machine_and_the_disks_of_the_site(site: SiteLayout) -> None:
    found = figures()
    disks = {labels["folder"]: value for labels, value in found["egse_node_disk_size_bytes"].samples}
    assert disks == pytest.approx(dict.fromkeys(("data", "log"), shutil.disk_usage(site.folder).total))
    assert {"idle", "user"} <= {labels["mode"] for labels, _ in found["egse_node_cpu_seconds_total"].samples}
    ((_, total),), ((_, free),) = (
        found[f"egse_node_memory{name}_bytes"].samples for name in ("", "_available")
    )
    assert 0 < free < total
    assert all(figure.name.endswith("_total") == (figure.kind == "counter") for figure in found.values())


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above(site: SiteLayout) -> None:
    shutil.rmtree(site.environment["PLATO_DATA_STORAGE_LOCATION"])
    assert {labels["folder"] for labels, _ in figures()["egse_node_disk_available_bytes"].samples} == {
        "data",
        "log",
    }


def test_without_a_site_there_are_no_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SITE_ID", raising=False)
    assert figures()["egse_node_disk_size_bytes"].samples == ()
