"""The console: lines, colours, progress bars, pictures, questions."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from camtest.tasks.ansi import ansi_to_html, settle, strip_ansi
from camtest.tasks.console import MAX_LINES, Console
from camtest.tasks.printing import print_result
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
    assert asked.wait(30)
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


@pytest.mark.parametrize(
    ("printed", "plain", "coloured"),
    [
        ("[red]ERROR: no connection to the OGSE.[/]", "ERROR: no connection to the OGSE.", "#d03a31"),
        ("[bold red]a[/bold red] b", "a b", "font-weight:bold"),
        ("[red]x[/red] [1, 2] a[i] [Y/n] [/tmp/a.txt:3]", "x [1, 2] a[i] [Y/n] [/tmp/a.txt:3]", "#d03a31"),
        ("a[i] and [/i] \\[red]no[/]", "a and  [red]no[/]", "italic"),
        ("[red]never closed", "[red]never closed", ""),
        ("[no style]x[/no style] [/]", "[no style]x[/no style] [/]", ""),
        ("[link=http://here]there[/link]", "there", ""),
    ],
)
def test_styles_that_a_task_prints_are_colours(printed: str, plain: str, coloured: str) -> None:
    console = Console()
    console.write(printed[:5])
    console.write(printed[5:] + "\n")
    assert console.text == plain + "\n"
    assert coloured in console.html()


@pytest.mark.parametrize(
    ("result", "plain"),
    [
        ("output [/Users/rik/output.py:11]: 0.001 s", "output [/Users/rik/output.py:11]: 0.001 s"),
        ("value = 42 [no units]", "value = 42 [no units]"),
        ("[green]done[/] in [1, 2] x[i]", "done in [1, 2] x[i]"),
        ("[green]done", "done"),
        ("[red]a [bold]b[/red] c[/bold] [/red]", "a b c [/red]"),
        ([1, "[x]"], "[1, '[x]']"),
        (None, ""),
    ],
)
def test_a_result_is_shown_whatever_brackets_it_has(result: Any, plain: str) -> None:
    file = io.StringIO()
    print_result(result, file)
    assert strip_ansi(file.getvalue()).rstrip("\n") == plain


def test_a_result_that_cannot_be_shown_is_told() -> None:
    class Shy:
        def __rich__(self) -> str:
            raise RuntimeError("not [me]")

    file = io.StringIO()
    print_result(Shy(), file)
    text = strip_ansi(file.getvalue())
    assert text == "the result, a Shy, cannot be shown: RuntimeError: not [me]\n"
