"""What the documentation names is there: commands and their options, imports, names in code, files."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from camtest.run.notebooks import read_notebook
from camtest.run.parameters import notebook_parameters
from egse.control import ControlServerApp
from egse.control_cli import make_command_line
from egse.simulator import SimulatorApp

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
EXAMPLE = re.compile(r"Example: (.+?)\s*$", re.MULTILINE)
DOTTED = re.compile(r"(?:egse|camtest)(?:\.\w+)+")
PATHS = re.compile(r"(?:egse|camtest|procedures|notebooks|tests|docs|benchmarks|kernels)/[\w./-]+")
SUBSTITUTION = re.compile(r"\$\((.*?)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language (empty when not said) and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in FENCE.finditer(text):
        yield Block(page, text[: match.start()].count("\n") + 1, match[1], match[2])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]


# -- command lines ---------------------------------------------------------------------------------------------------


def command_named(script: str) -> click.Command:
    """Returns the click command behind a console script."""
    module_name, _, path = SCRIPTS[script].partition(":")
    module = importlib.import_module(module_name)
    target: Any = module
    for name in path.split("."):
        owner, target = target, getattr(target, name)
    if isinstance(target, click.Command):
        return target
    app = getattr(module, "APP", None) if not isinstance(owner, SimulatorApp) else owner
    if isinstance(app, ControlServerApp):
        return make_command_line(app)
    if isinstance(app, SimulatorApp):
        return app.command()
    command = getattr(module, "cli", None)
    assert isinstance(command, click.Command), f"{script}: no command line found in {module_name}"
    return command


def command_lines(text: str) -> list[str]:
    """Returns the shell lines in a text that begin with a command of this project; `$ ` and comments are left out."""
    lines = []
    for line in text.splitlines():
        line = line.strip().removeprefix("$ ")
        if match := SUBSTITUTION.search(line):
            line = match[1]
        if line.split(" ", 1)[0] in SCRIPTS:
            lines.append(line)
    return lines


def check_command_line(line: str) -> None:
    """Fails unless the commands, options and number of arguments of a shell line exist.

    Values are not looked at. `start|stop` and `start, stop` are alternatives, `...` stands for anything.
    """
    words = shlex.split(line.replace(", ", "|"), comments=True)
    command, rest = command_named(words[0]), words[1:]
    context = click.Context(command, info_name=words[0])
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        names = [name for name in rest[0].split("|") if name]
        if names == ["..."]:
            return
        for name in names:
            assert command.get_command(context, name), (
                f"{line!r}: {context.command_path} has no command {name!r}"
            )
        if len(names) > 1:
            return
        found = command.get_command(context, names[0])
        assert found is not None
        command, rest = found, rest[1:]
        context = click.Context(command, info_name=names[0], parent=context)
    if isinstance(command, click.Group):
        assert not rest or rest[0] in ("--help", "--version"), f"{line!r}: options of a group"
        return
    check_arguments(line, command, rest)


def check_arguments(line: str, command: click.Command, words: list[str]) -> None:
    options = {name: p for p in command.params if isinstance(p, click.Option) for name in p.opts}
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    given = 0
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            given += 1
            break
        if not word.startswith("-"):
            given += 1
            continue
        name, equals, _ = word.partition("=")
        if name == "--help":
            continue
        option = options.get(name)
        assert option is not None, f"{line!r}: there is no option {name} (there are: {sorted(options)})"
        if not option.is_flag and not option.count and not equals:
            index += option.nargs
    unlimited = any(argument.nargs == -1 for argument in arguments)
    needed = sum(argument.required for argument in arguments)
    assert given >= needed, f"{line!r}: {needed} argument(s) are needed"
    assert unlimited or given <= len(arguments), f"{line!r}: {len(arguments)} argument(s) at most"


SHELL_LINES = [
    pytest.param(line, id=f"{block}: {line[:50]}")
    for block in BLOCKS
    if block.language in ("", "sh", "console")
    for line in command_lines(block.text)
]
INLINE_LINES = [
    pytest.param(line, id=f"{page.name}: {line[:50]}")
    for page in PAGES
    for text in dict.fromkeys(INLINE.findall(FENCE.sub("", page.read_text())))
    for line in command_lines(text)
    if " " in line
]


def test_the_pages_have_examples() -> None:
    assert len(SHELL_LINES) > 20
    assert len(INLINE_LINES) > 5
    assert len(PYTHON) > 8


@pytest.mark.parametrize("line", SHELL_LINES)
def test_a_command_in_a_block_exists_with_its_options(line: str) -> None:
    check_command_line(line)


@pytest.mark.parametrize("line", INLINE_LINES)
def test_a_command_in_the_text_exists_with_its_options(line: str) -> None:
    # In running text arguments may be left out.
    try:
        check_command_line(line)
    except AssertionError as exc:
        if "argument(s) are needed" not in str(exc):
            raise


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("camtest fly", "has no command 'fly'"),
        ("camtest run p.ipynb --speed 5", "no option --speed"),
        ("camtest params", "1 argument"),
        ("camtest run a.ipynb b.ipynb", "at most"),
        ("cgse sandbox start --dir D --velocity 5", "no option --velocity"),
        ("ogse_cs begin", "has no command 'begin'"),
        ("ogse_sim start --prot 0", "no option --prot"),
        ("fitsgen for-obsid", "1 argument"),
        ("cm_cs start|halt", "has no command 'halt'"),
    ],
)
def test_a_wrong_command_line_is_noticed(line: str, message: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_command_line(line)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_console_script_answers_help(script: str) -> None:
    command = command_named(script)
    assert command.get_help(click.Context(command, info_name=script)).startswith(f"Usage: {script}")


def all_commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    yield context.command_path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, f"{context.command_path} {name}"
            yield from all_commands(found, click.Context(found, info_name=name, parent=context))


HELP_LINES = [
    pytest.param(line, id=f"{path}: {line}")
    for script in SCRIPTS
    for command in [command_named(script)]
    for path, found in all_commands(command, click.Context(command, info_name=script))
    for match in EXAMPLE.finditer(f"{found.help or ''}\n{found.epilog or ''}")
    for line in command_lines(match[1]) or [match[1]]
]


def test_the_help_has_examples() -> None:
    assert len(HELP_LINES) > 20


@pytest.mark.parametrize("line", HELP_LINES)
def test_an_example_of_the_help_exists_with_its_options(line: str) -> None:
    check_command_line(line)


@pytest.mark.parametrize("line", [line for line in SHELL_LINES + HELP_LINES if " -p " in line.values[0]])
def test_parameters_of_procedures_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    notebook = ROOT / next(word for word in words if word.endswith(".ipynb"))
    given = {words[index + 1] for index, word in enumerate(words) if word == "-p"}
    assert given <= notebook_parameters(read_notebook(notebook)).keys()


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name for page in PAGES for name in re.findall(r"(?:^|`)make (\w+)", page.read_text(), re.MULTILINE)
    }
    assert {"demo", "test", "lab"} <= named <= targets


# -- Python ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_examples_compile_and_import_what_exists(block: Block) -> None:
    tree = ast.parse(block.text, f"{block.page.name}:{block.line}")
    compile(tree, str(block), "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_examples_use_names_of_the_modules_they_import(block: Block) -> None:
    """Attributes of imported modules, as in `ogse.ogse_swon()`, and keywords of building blocks exist."""
    tree = ast.parse(block.text)
    imported = {
        alias.asname or alias.name: getattr(importlib.import_module(str(node.module)), alias.name, None)
        or importlib.import_module(f"{node.module}.{alias.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("egse", "camtest"))
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        owner = imported.get(node.value.id)
        if type(owner).__name__ == "module" or isinstance(owner, type):
            assert hasattr(owner, node.attr), f"{block}: {node.value.id} has no {node.attr}"
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        check_building_block_call(block, call, imported)


def check_building_block_call(block: Block, call: ast.Call, imported: dict[str, Any]) -> None:
    """Checks the keywords of `module.block(...)` and `execute(module.block, ...)`."""
    target: ast.expr = call.func
    keywords = {keyword.arg for keyword in call.keywords}
    if isinstance(target, ast.Name) and target.id == "execute" and call.args:
        target = call.args[0]
        keywords.discard("description")
    if not (isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)):
        return
    function = getattr(imported.get(target.value.id), target.attr, None)
    definition = getattr(function, "__building_block__", None)
    if definition is not None:
        assert keywords == set(definition.names), (
            f"{block}: arguments of {target.attr}: {sorted(definition.names)}"
        )


# -- names in the text -----------------------------------------------------------------------------------------------


def exists(dotted: str) -> bool:
    """Returns True when a dotted name is a module, or an attribute (of an attribute) of one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_the_code_in_the_text_exist(page: Path) -> None:
    names = {text for text in INLINE.findall(FENCE.sub("", page.read_text())) if DOTTED.fullmatch(text)}
    scripts = {name for name in names if (ROOT / name.replace(".", "/")).is_dir()}
    assert [name for name in sorted(names - scripts) if not exists(name) and name != "camtest.status"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_in_the_text_exist(page: Path) -> None:
    names = {text for text in INLINE.findall(FENCE.sub("", page.read_text())) if PATHS.fullmatch(text)}
    missing = [
        name for name in sorted(names) if not ((ROOT / name).exists() or (ROOT / f"{name}.py").exists())
    ]
    assert missing == []


def test_names_that_do_not_exist_are_noticed() -> None:
    assert exists("egse.fee.FEE_SENSOR_SEL")
    assert exists("egse.storage.StorageInterface.save")
    assert not exists("egse.fee.no_such_name")
    assert not exists("egse.no_such_module")


def test_every_page_is_listed() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert listed == {page.name for page in PAGES if page.parent.name == "docs" and page.name != "README.md"}
