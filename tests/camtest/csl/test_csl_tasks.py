"""The tasks of CSL: their layout, and the reference frames of the laser tracker."""

from __future__ import annotations

from pathlib import Path

import pytest

from camtest.commanding import csl_gse
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from camtest.csl import circle, huber, refmodel
from camtest.tasks.catalogue import read_catalogue
from camtest.tasks.form import ArgumentsForm

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
    assert [task.name for task in catalogue.recurring] == ["show_setup_and_obsid"]


SPOTS = "cycle,frame,ccd,row,column,flux,width,peak,x,y,theta,phi\n0,0,1,2,3,4.0,1.5,5.0,10.0,20.0,8.3,45.0\n"


def test_circles_by_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User interfaces, section 4: test id, site, text."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name in ("00900_CSL", "CSL1_00084_00901", "902"):
        (tmp_path / f"spots_{name}.csv").write_text(SPOTS)
    rows = [[900, "CSL", "CSL EM Final"], [901, "CSL1", "warm"], [902, "CSL2", ""]]
    names = circle.reduced_names(rows, tmp_path)
    assert names == {"00900_CSL": "CSL EM Final", "CSL1_00084_00901": "warm", "902": "902"}
    table = circle.analyse(rows, tmp_path, save=True, verbose=True)
    assert list(table["obsid"]) == ["CSL EM Final", "warm", "902"]
    assert (tmp_path / "circle_00900_CSL_CSL1_00084_00901_902.png").is_file()
    with pytest.raises(LookupError, match="00901_CSL2 has not been reduced"):
        circle.reduced_names([[901, "CSL2", "x"]], tmp_path)


def test_form_of_the_circles(tmp_path: Path) -> None:
    task = next(task for task in read_catalogue(["camtest.csl"]).tasks() if task.function is circle.analyse)
    form = ArgumentsForm(task)
    form.fill(reduced_dir=str(tmp_path))
    assert "[[900, 'CSL', 'CSL EM Final']]" in form.call().code


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
