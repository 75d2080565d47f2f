"""Setups, and the model of the reference frames that the laser tracker measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camtest.core.exec import Abort
from camtest.tasks import exec_ui
from camtest.tasks.shared.setup_changes import submit_changes
from camtest.tasks.types import Callback
from egse import setup

UI_MODULE_DISPLAY_NAME = "5 - Setup"

COLUMNS = ("name", "parent", "tx", "ty", "tz", "rx", "ry", "rz")
"""Columns of the table; `links` (names, separated by blanks) may follow."""


def setup_ids() -> list[int]:
    """Returns the ids of all Setups, the newest first."""
    return sorted((int(row[0]) for row in setup.list_setups()), reverse=True)


@exec_ui(display_name="Load Setup")
def load_setup(setup_id: Callback(setup_ids, name="Setup")) -> Any:  # type: ignore[valid-type]
    """Makes a Setup the active one, in the configuration manager and in this kernel."""
    return setup.load_setup(setup_id)


@exec_ui(display_name="list_all_setups", immediate_run=True)
def list_all_setups() -> str:
    """Shows all Setups of the site."""
    return str(setup.list_setups())


@exec_ui(display_name="New RF Model from Excel file", file_filter={"filename": "*.xlsx *.csv"})
def new_model(filename: Path, description: str) -> Any:
    """Puts the reference frames of a table into the active Setup (`gse.csl_model`), shows what changes, and submits it.

    Args:
        filename: Excel or CSV file with one frame in each row: name, parent (empty for the root), tx, ty, tz [mm], rx, ry, rz [deg],
            links.
        description: of the new Setup.

    Raises:
        Abort: when the table is no model, or the operator does not want it.
    """
    model = read_model(filename)

    def put_in(new: setup.Setup) -> None:
        new.gse.csl_model = {"model": model}

    return submit_changes(put_in, description)


def read_model(filename: Path) -> dict[str, dict[str, Any]]:
    """Returns the frames of a table by name, as they stand in a Setup.

    Raises:
        Abort: when columns are missing, names are not there or not unique, or a number is none.
    """
    table = _read_table(filename)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise Abort(f"{filename} lacks the columns {', '.join(missing)}; a model has {', '.join(COLUMNS)}")
    model: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        name = str(row["name"]).strip()
        if not name or name in model:
            raise Abort(f"{filename}, row {number}: a frame needs a name of its own, got {name!r}")
        model[name] = _entry(row, f"{filename}, row {number}")
    for name, entry in model.items():
        for other in (*filter(None, [entry.get("parent")]), *entry.get("links", ())):
            if other not in model:
                raise Abort(f"{filename}: the frame {name} names {other!r}, which is none")
    return model


def _entry(row: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        numbers = [float(row[name] or 0.0) for name in COLUMNS[2:]]
    except ValueError as exc:
        raise Abort(f"{where}: {exc}") from exc
    parent, links = str(row["parent"]).strip(), str(row.get("links", "")).split()
    entry: dict[str, Any] = {"links": links} if links else {}
    if parent:
        entry |= {"parent": parent, "translation": numbers[:3], "rotation": numbers[3:]}
    return entry


def _read_table(filename: Path) -> Any:
    import pandas as pd

    if filename.suffix.lower() == ".csv":
        return pd.read_csv(filename, dtype=str, keep_default_na=False, sep=None, engine="python")
    try:
        return pd.read_excel(filename, dtype=str, keep_default_na=False)
    except ImportError as exc:
        raise Abort(
            f"{filename} cannot be read: install openpyxl (`pip install openpyxl`), or save the sheet as CSV"
        ) from exc
