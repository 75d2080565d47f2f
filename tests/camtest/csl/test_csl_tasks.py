"""The tasks of CSL: their layout, and the reference frames of the laser tracker."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtest.commanding import csl_gse
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from camtest.csl import huber, refmodel
from camtest.tasks.catalogue import read_catalogue

TABLE = """\
name;parent;tx;ty;tz;rx;ry;rz;links
gliso;;;;;;;;
toumec;gliso;1.5;-2;1000;0;0.1;30;fpamec
fpamec;toumec;0;0;-250;;;;
"""


def test_the_groups_of_the_reference() -> None:
    """User interfaces, section 4."""
    catalogue = read_catalogue(["camtest.csl"])
    groups = {
        group.title: [task.title for task in group.tasks] for tab in catalogue.tabs for group in tab.groups
    }
    assert list(groups) == [
        "1 - Single position measurement",
        "2 - Circle around optical axis",
        "3 - Hartmann",
        "4 - PUNA Hexapod",
        "5 - Setup",
        "6 - Camera",
        "7 - OGSE",
        "8 - HUBER stages",
    ]
    wanted = {
        "1 - Single position measurement": {"Command", "Analyse"},
        "2 - Circle around optical axis": {"Command", "Reduce", "Analyse"},
        "3 - Hartmann": {"Command", "Reduce", "Analyse"},
        "4 - PUNA Hexapod": {"Homing", "Retract", "Zero Position", "Emergency stop"},
        "5 - Setup": {"Load Setup", "list_all_setups", "New RF Model from Excel file"},
        "6 - Camera": {"Switch ON", "Switch OFF"},
        "7 - OGSE": {"Switch ON", "Switch OFF", "Set Attenuation", "Status"},
    }
    for title, tasks in wanted.items():
        assert tasks <= set(groups[title]), title
    assert catalogue.find("Emergency stop").icons, "it has a picture"


def test_reference_frames_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "model.csv"
    path.write_text(TABLE)
    assert refmodel.read_model(path) == {
        "gliso": {},
        "toumec": {
            "parent": "gliso",
            "translation": [1.5, -2.0, 1000.0],
            "rotation": [0.0, 0.1, 30.0],
            "links": ["fpamec"],
        },
        "fpamec": {"parent": "toumec", "translation": [0.0, 0.0, -250.0], "rotation": [0.0, 0.0, 0.0]},
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name;parent\na;\n", "lacks the columns tx, ty"),
        (TABLE.replace("1000", "high"), "row 3"),
        (TABLE.replace("fpamec;toumec", "toumec;toumec"), "row 4: a frame needs a name of its own"),
        (TABLE.replace("toumec;gliso", "toumec;nowhere"), "names 'nowhere'"),
    ],
)
def test_tables_that_are_no_model(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "model.csv"
    path.write_text(text)
    with pytest.raises(Abort, match=reason):
        refmodel.read_model(path)


def test_where_the_source_is(dry_run: DryRun) -> None:
    csl_gse.point_source_to_ccd(row=100, column=200, ccd_code=3)
    shown = huber.position()
    assert (shown["row"], shown["column"], shown["ccd"]) == pytest.approx((100, 200, 3), abs=0.1)
    assert shown["translation"] > 355
