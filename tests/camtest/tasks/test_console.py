"""The console: lines, colours, progress bars, pictures, questions."""

from __future__ import annotations

import threading
from pathlib import Path

from camtest.tasks.ansi import ansi_to_html, settle, strip_ansi
from camtest.tasks.console import MAX_LINES, Console
from camtest.tasks.questions import Question, QuestionDesk


def test_colours_become_spans_and_text_is_escaped() -> None:
    html = ansi_to_html("a <b> \x1b[1;31mred\x1b[0m \x1b[38;5;196mx\x1b[38;2;1;2;3my\x1b[m \x1b[2Kz")
    assert html.startswith('a &lt;b&gt; <span style="font-weight:bold;color:#d03a31">red</span> ')
    assert '<span style="color:rgb(255,0,0)">x</span><span style="color:rgb(1,2,3)">y</span>' in html
    assert html.endswith(" z")
    assert strip_ansi("\x1b[1;31mred\x1b[0m\x1b]0;title\x07") == "red"


def test_what_carriage_returns_leave() -> None:
    assert settle("10%\r50%\r") == "50%\r"
    assert settle("long text\rshort") == "shorttext"
    console = Console()
    for part in ("a 1%\r", "a 50%", "\ra 100%\nend\n"):
        console.write(part)
    assert console.text == "a 100%\nend\n"


def test_lines_in_pieces_and_the_line_that_is_open() -> None:
    console = Console()
    console.write("Hel")
    console.write("lo\nContinue \x1b[1m[Y/n]\x1b[0m ")
    assert console.last_line == "Continue [Y/n] "
    console.write("\n\n")
    assert console.last_line == ""
    assert console.text == "Hello\nContinue [Y/n] \n\n"
    revision = console.revision
    console.write("")
    assert console.revision == revision


def test_pictures_are_updated_in_place_and_long_output_is_bounded(tmp_path: Path) -> None:
    console = Console(tmp_path / "out.txt")
    console.show({"image/png": "AAAA", "text/plain": "<figure>"}, "one")
    console.show({"text/html": "<progress></progress>", "text/plain": "half"}, "bar")
    console.show({"text/plain": "done"}, "bar", update=True)
    assert 'src="data:image/png;base64,AAAA"' in console.html()
    assert "<progress>" not in console.html()
    assert console.text == "<figure>\ndone\n"
    console.write("x\n" * (MAX_LINES + 10))
    assert console.text.count("\n") == MAX_LINES
    assert (tmp_path / "out.txt").read_text().startswith("<figure>\nhalf\nx\n")
    console.clear()
    assert console.html() == ""


def test_buttons_for_answers() -> None:
    assert Question("Go on? [Y/n] ").choices == (("Yes", "Y"), ("No", "N"))
    assert Question("Which? [clear/red (default)] ").choices == (("clear", "clear"), ("red", "red"))
    assert Question("Name? ").choices == ()
    assert Question("Sure", yes_no=True).choices == (("Yes", "Y"), ("No", "N"))


def test_a_question_is_answered_once_or_given_up() -> None:
    desk, asked = QuestionDesk(), threading.Event()
    desk._changed = asked.set
    answers: list[str | None] = []
    given_up = threading.Event()
    thread = threading.Thread(target=lambda: answers.append(desk.ask("Name?", given_up=given_up)))
    thread.start()
    assert asked.wait(10)
    question = desk.current
    assert question is not None
    question.give("ben")
    question.give("eva")
    thread.join(10)
    thread = threading.Thread(target=lambda: answers.append(desk.ask("Again?", given_up=given_up)))
    thread.start()
    given_up.set()
    thread.join(10)
    assert answers == ["ben", None]
    assert desk.current is None
