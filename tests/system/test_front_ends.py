"""nbclient, papermill and JupyterLab run the same procedure; questions to the operator in JupyterLab. In a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from camtest.core.sequence import CommandSequence

from . import jupyterlab

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        jupyterlab.CHROMIUM is None, reason="chromium is not installed (apt install chromium)"
    ),
]

PROCEDURE = Path(__file__).resolve().parents[2] / "procedures" / "ogse_attenuation_check.ipynb"
SHORTER = {
    "[0.002, 0.01, 0.1, 0.3, 0.5, 0.8, 1.0]": "[0.1, 1.0]",
    "= 60.0  # time for the lamp": "= 20.0  # time for the lamp",
    "= 20.0  # time at each level": "= 60.0  # time at each level",
}
QUESTIONS = """\
from camtest import ask, confirm, observation
with observation("questions") as obsid:
    print("typed", confirm("Is the door closed?", default=False))
    print("chosen", ask("Which filter is mounted?", choices=["clear", "red"]))
    print("late", confirm("And the window?", default=True, timeout=0.5))
    print("elsewhere", ask("Who is there?"))
    print("typed again", ask("A remark?"))
"""


@pytest.fixture(scope="module")
def lab_in_browser(
    sandbox: Any, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Any]:
    """JupyterLab as a member of the running sandbox, with a browser."""
    root = tmp_path_factory.mktemp("jupyter")
    with jupyterlab.JupyterLab(root, sandbox.environ(), free_ports(1)[0]) as running:
        yield running
    assert running.elsewhere == [], "the page has asked for something outside of this machine"


@pytest.fixture
def procedure(lab_in_browser: Any) -> Path:
    """A real procedure with less to do: other defaults of its parameters, else as it is."""
    text = PROCEDURE.read_text()
    for old, new in SHORTER.items():
        assert old in text
        text = text.replace(old, new)
    path = Path(lab_in_browser.root) / PROCEDURE.name
    path.write_text(text)
    return path


# -- what is compared --------------------------------------------------------------------------------------------------


def blocks(record: Any) -> list[tuple[Any, ...]]:
    """Returns starts and ends of building blocks, times aside."""
    return [
        (event["event"], event["block"], event.get("bbid"), event.get("args"))
        for event in record.lines("events.jsonl")
        if event["event"] in ("start", "end", "failed")
    ]


def texts_of(output: Any) -> dict[str, str]:
    """Returns what an output shows by its type; figures are masked, pictures only named."""
    if output.output_type == "stream":
        return {f"stream {output.name}": output.text}
    shown = {}
    for kind, data in output.get("data", {}).items():
        masked = re.sub(r"[-+]?\d[\d.e+-]*", "#", str(data))
        shown[kind] = "" if kind.startswith("image/") else " ".join(masked.split())
    return {f"{output.output_type} {kind}": text for kind, text in shown.items()}


def outputs(path: Path, obsid: str) -> list[list[dict[str, str]]]:
    """Returns the outputs of each code cell; the state of the session, which names the observation, is taken out.

    It stands above the first cell, and below those in which the observation begins and ends unless a runner's is joined.
    """
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    found, banners = [], 0
    for cell in cells:
        shown: list[dict[str, str]] = []
        for output in cell.outputs:
            text = str(output.get("data", {}).get("text/plain", ""))
            if text.startswith("site LAB |"):
                assert "simulator: commands go to simulated devices" in text
                banners += 1
                continue
            texts = {kind: data.replace(obsid, "OBSID") for kind, data in texts_of(output).items()}
            if shown and list(shown[-1]) == list(texts) == ["stream stdout"]:
                shown[-1]["stream stdout"] += texts["stream stdout"]
            else:
                shown.append(texts)
        found.append(shown)
    assert banners in (1, 3)
    return found


def test_the_same_procedure_in_three_front_ends(
    lab: Any, shell: Any, lab_in_browser: Any, procedure: Path, tmp_path: Path
) -> None:
    before = procedure.read_bytes()
    found: dict[str, tuple[Any, Path]] = {}

    shutil.copy(procedure, tmp_path / "by_nbclient.ipynb")
    code, output = shell.run("jupyter", "execute", "--inplace", tmp_path / "by_nbclient.ipynb")
    assert code == 0, output
    found["nbclient"] = lab.record(lab.last()["obsid"]), tmp_path / "by_nbclient.ipynb"

    code, output = shell.run(
        "papermill", "--engine", "camtest", procedure, tmp_path / "by_papermill.ipynb", "--no-progress-bar"
    )
    assert code == 0, output
    found["papermill"] = lab.record(lab.last()["obsid"]), tmp_path / "by_papermill.ipynb"
    assert procedure.read_bytes() == before

    in_browser = lab_in_browser.open(procedure)
    in_browser.run_all()
    in_browser.save()
    assert in_browser.errors == 0
    in_browser.page.close()
    found["JupyterLab"] = lab.record(lab.last()["obsid"]), procedure
    sources = [cell.source for cell in nbformat.read(procedure, as_version=4).cells]
    assert sources == [cell.source for cell in nbformat.reads(before, as_version=4).cells]

    records = {name: record for name, (record, _) in found.items()}
    assert len({record.obsid for record in records.values()}) == 3
    assert {record.manifest["status"] for record in records.values()} == {"done"}
    assert [record.manifest["who"]["supervised"] for record in records.values()] == [False, True, False]

    events = {name: blocks(record) for name, record in records.items()}
    assert len(events["papermill"]) >= 8
    assert events["nbclient"] == events["papermill"] == events["JupyterLab"]

    sequences = {name: CommandSequence.of_observation(record.folder) for name, record in records.items()}
    plan = sequences["papermill"]
    assert len(plan.state_changing()) >= 7
    for name in ("nbclient", "JupyterLab"):
        assert sequences[name].state_changing() == plan.state_changing()
        assert not plan.diff(sequences[name]), str(plan.diff(sequences[name]))

    shown = {name: outputs(path, record.obsid) for name, (record, path) in found.items()}
    assert "2 levels agree" in json.dumps(shown["papermill"])
    assert shown["nbclient"] == shown["papermill"] == shown["JupyterLab"]


def test_questions_are_answered_in_jupyterlab(
    lab: Any, shell: Any, lab_in_browser: Any, write_notebook: Callable[..., Path], wait: Callable[..., Any]
) -> None:
    path = shutil.copy(write_notebook("questions.ipynb", QUESTIONS), lab_in_browser.root)
    notebook = lab_in_browser.open(Path(path))
    page = notebook.page
    notebook.run_all(wait=False)

    def type_in(question: str, text: str) -> None:
        box = page.wait_for_selector(f'.jp-Stdin:has-text("{question}") input')
        assert box is not None
        box.fill(text)
        box.press("Enter")
        box.wait_for_element_state("hidden")

    type_in("Is the door closed? [y/N]", "y")
    type_in("Which filter is mounted? [clear/red]", "blue")  # no answer to this: it is asked again
    type_in("Which filter is mounted? [clear/red]", "red")
    page.locator(".jp-OutputArea-output", has_text="And the window? -> yes (time-out)").first.wait_for()
    wait(lambda: "Who is there?" in shell.run("camtest", "desk")[1], what="the question on the desk")
    assert shell.run("camtest", "answer", "ben")[0] == 0
    page.locator(".jp-OutputArea-output", has_text="elsewhere ben").first.wait_for()
    type_in("A remark?", "it rains")
    page.locator(".jp-OutputArea-output", has_text="typed again it rains").first.wait_for()
    notebook.wait_done()
    assert notebook.errors == 0
    page.close()

    observation = wait(lab.last_closed, what="the end of the observation")
    assert observation["status"] == "done"
    record = lab.record(observation["obsid"])
    answers = [event for event in record.manifest["prompts"] if event["event"] == "answer"]
    assert [(event["text"], event["answer"], event["how"]) for event in answers] == [
        ("Is the door closed?", "yes", "prompt"),
        ("Which filter is mounted?", "red", "prompt"),
        ("And the window?", "yes", "time-out"),
        ("Who is there?", "ben", "desk"),
        ("A remark?", "it rains", "prompt"),
    ]
    assert all("@" in event["by"] for event in answers if event["how"] != "time-out")
    assert len([event for event in record.manifest["prompts"] if event["event"] == "question"]) == 5
