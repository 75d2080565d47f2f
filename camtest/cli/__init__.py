"""The command `camtest`: run, dry-run, batch, queue, attach, log, runs, params, obs, verify, demo, lab.

Commands are loaded when they are used, so that `camtest --help` answers at once.
"""

from __future__ import annotations

import gc
from importlib import import_module
from importlib.util import find_spec

import click

_COMMANDS = {
    "run": ("camtest.cli.run", "run"),
    "dry-run": ("camtest.cli.dry_run", "dry_run"),
    "batch": ("camtest.cli.batch", "batch"),
    "queue": ("camtest.cli.queue", "queue"),
    "attach": ("camtest.cli.attach", "attach"),
    "log": ("camtest.cli.attach", "log"),
    "runs": ("camtest.cli.attach", "runs"),
    "recover": ("camtest.cli.attach", "recover"),
    "params": ("camtest.cli.params", "params"),
    "pause": ("camtest.cli.verbs", "pause"),
    "resume": ("camtest.cli.verbs", "resume"),
    "stop": ("camtest.cli.verbs", "stop"),
    "abort": ("camtest.cli.verbs", "abort"),
    "halt": ("camtest.cli.verbs", "halt"),
    "decide": ("camtest.cli.verbs", "decide"),
    "answer": ("camtest.cli.verbs", "answer"),
    "desk": ("camtest.cli.verbs", "desk"),
    "obs": ("camtest.cli.obs", "obs"),
    "reactions": ("camtest.cli.reactions", "reactions"),
    "verify": ("camtest.cli.verify", "verify"),
    "tasks": ("camtest.cli.tasks", "tasks"),
    "ui": ("camtest.cli.ui", "ui"),
    "demo": ("camtest.cli.demo", "demo"),
    "lab": ("camtest.cli.lab", "lab"),
}
_HELP = {
    "run": "Run a procedure notebook as one observation.",
    "dry-run": "Execute a notebook without touching a device; show its command sequence.",
    "batch": "Run many procedures by a plan.",
    "queue": "Procedures that wait to be run, one after the other.",
    "attach": "Show a running procedure from its start and follow it.",
    "log": "Show what a run did so far.",
    "runs": "List the runs of this machine.",
    "recover": "Make the notebooks of runs that were killed.",
    "params": "Show the parameters of a notebook.",
    "pause": "Pause the running procedure at its next checkpoint.",
    "resume": "Go on after a pause.",
    "stop": "End the running observation well.",
    "abort": "Abort the running observation; the safes run.",
    "halt": "Abort the running observation; no safes run.",
    "decide": "Decide after a building block has failed.",
    "answer": "Answer a question of the running procedure.",
    "desk": "Show what operators want, and are asked.",
    "obs": "List, show and report observations; notes on them.",
    "reactions": "Automatic reactions to alarms: show, dry-run, cancel.",
    "verify": "Check that nothing that was recorded was altered or removed.",
    "tasks": "Show the tasks of packages as a page of buttons with forms.",
    "ui": "Serve the panels as pages, with a token.",
    "demo": "Run the whole system in a sandbox.",
    "lab": "Open JupyterLab on this site, or on a sandbox.",
}


class _LazyGroup(click.Group):
    """Imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (module, _) in _COMMANDS.items() if find_spec(module) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, attribute = _COMMANDS[cmd_name]
        gc.disable()  # what is imported does not become garbage, and looking for it takes a tenth of the time
        try:
            command: click.Command = getattr(import_module(module), attribute)
        finally:
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _HELP[name]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="camtest")
def main() -> None:
    """Test scripts for the camera: run procedures, look at observations, check them."""
