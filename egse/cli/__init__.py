"""The command `cgse`: everything around the servers of a site.

The sub-commands are imported when they are used, so that `cgse --help` answers at once.
"""

from __future__ import annotations

import importlib

import click


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are needed.

    Args:
        lazy: for each sub-command, where it is (`module:attribute`) and its line in the help.
    """

    def __init__(self, *args: object, lazy: dict[str, tuple[str, str]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all sub-commands."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a sub-command, imported by now; None when there is none of this name."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of sub-commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self._lazy[name][1]) for name in self.list_commands(ctx) if name in self._lazy]
            )


COMMANDS = {
    "alarm": ("egse.cli.alarm:alarm", "What is wrong at a site: alarms, their history, the limits."),
    "conf": ("egse.cli.conf:conf", "The configuration repository of a site: make it, check its Setups."),
    "archive": (
        "egse.cli.archive:archive",
        "The data of a site: index, copies elsewhere, what may be removed.",
    ),
    "backup": ("egse.cli.backup:backup", "Back up what cannot be made again, and restore it."),
    "console": ("egse.cli.wire:console", "Reserve a device for maintenance and talk to it."),
    "core": ("egse.cli.core:core", "Start, stop and show the core services of a site."),
    "device": ("egse.cli.device:device", "Start, stop and show device control servers."),
    "doctor": ("egse.cli.doctor:doctor", "Check a site; say what to do about each finding."),
    "h5": ("egse.cli.h5:h5", "Raw camera files: what is in them, and the other format."),
    "keys": ("egse.cli.keys:keys", "Keys of people and servers: who may connect, and what they may do."),
    "log": ("egse.cli.log:log", "Show the log records of all processes."),
    "metrics": ("egse.cli.metrics:metrics", "Metrics for Prometheus, dashboards for Grafana."),
    "logbook": ("egse.cli.logbook:logbook", "The shift logbook: add and show entries."),
    "new-device": (
        "egse.cli.new_device:new_device",
        "Make a package for an instrument: driver, simulator, server, tests.",
    ),
    "replay": ("egse.cli.wire:replay", "Stand in for a device with what went over its wire."),
    "report": ("egse.cli.report:report", "Report of a day, hand-over page of a shift."),
    "sandbox": ("egse.cli.sandbox:sandbox", "A private site with simulators, in one folder."),
    "site": ("egse.cli.site:site", "The sites on this machine."),
    "systemd": ("egse.cli.systemd:systemd", "Unit files for an operational machine."),
    "tap": ("egse.cli.wire:tap", "Show or save what went over the wire to a device."),
    "tm": ("egse.cli.tm:tm", "The TM dictionary: check it, look things up in it."),
    "tunnel": ("egse.cli.tunnel:tunnel", "Reach the servers of another machine through SSH."),
    "update": ("egse.cli.update:update", "Update this software."),
    "version": ("egse.cli.version:version", "Show the versions of this software."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The Common-EGSE: core services, devices, sandboxes and sites.

    Example: cgse sandbox start --dir ~/bench --speed 10
    """
