"""What a Setup looks like: in a terminal, in a notebook, to TAB."""

from __future__ import annotations

import html.parser

import pytest

from egse.setup import DirectiveError, Setup
from egse.tree import html_tree

SETUP = {
    "gse": {"hexapod": {"ID": 42, "device": "class//no.such.Class", "name": "<script>x</script>"}},
    "frame": "ReferenceFrame//([0,0,0], 'Master')",
    "a key": "one\ntwo",
    "empty": {},
}


class Nesting(html.parser.HTMLParser):
    """Notes the tags and refuses those that are closed in another order than opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_notebook_shows_branches_that_open_and_close() -> None:
    bundle = Setup(SETUP)._repr_mimebundle_()
    assert bundle["text/plain"] == str(Setup(SETUP))
    tags = Nesting(bundle["text/html"])
    assert tags.seen.count("details") == tags.seen.count("summary") == 4  # root, gse, hexapod, empty
    assert "script" not in tags.seen
    assert bundle["text/html"].count("<details open") == 1
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "ReferenceFrame//([0,0,0], &#x27;Master&#x27;)" in bundle["text/html"]
    assert "<b>hexapod</b>" in Setup(SETUP).gse._repr_mimebundle_()["text/html"]
    assert html_tree("<x>", {}).startswith("<div")
    assert "&lt;x&gt;" in html_tree("<x>", {})


def test_nothing_is_interpreted_when_it_is_shown() -> None:
    setup = Setup(SETUP)
    for shown in (str(setup), repr(setup), setup.pretty_str(), setup._repr_mimebundle_()["text/html"]):
        assert "class//no.such.Class" in shown
    with pytest.raises(DirectiveError, match=r"gse\.hexapod\.device"):
        _ = setup.gse.hexapod.device


def test_an_unknown_prefix_is_an_error_only_when_that_key_is_read() -> None:
    setup = Setup(SETUP)
    assert setup.get_raw_value("frame") == SETUP["frame"]
    assert dict(setup.walk())["frame"] == SETUP["frame"]
    assert setup.copy() == setup
    assert Setup.from_yaml_string(setup.to_yaml_string()) == setup
    with pytest.raises(
        DirectiveError, match=r"frame: unknown special value .ReferenceFrame//.*get_raw_value"
    ):
        _ = setup.frame
    with pytest.raises(DirectiveError):
        setup.get("frame")


def test_indented_lines() -> None:
    assert Setup({"gse": {"text": "one\ntwo", "x": {}}}).pretty_str(1).splitlines() == [
        "    gse:",
        "        text: one",
        "            two",
        "        x:",
    ]


def test_completion_offers_keys_without_interpreting_them() -> None:
    setup = Setup(SETUP)
    assert {"gse", "frame", "empty", "get_id"} <= set(dir(setup))
    assert "a key" not in dir(setup)
    assert setup._ipython_key_completions_() == ["gse", "frame", "a key", "empty"]
    assert {"ID", "device", "name"} <= set(dir(setup.gse.hexapod))
