"""Unit files for systemd and the environment file that they read (manual ch. 5 and 28.1, storage reference ch. 1).

Each core service is a unit of its own; device servers are instances of the template `cgse-device@.service`, so that
the process manager can be restarted without harm to them. The process manager may start and stop those instances, and
nothing else, by a rule for polkit.
"""

from __future__ import annotations

import getpass
import grp
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from egse import env as names
from egse.env import (
    get_conf_repo_location,
    get_data_storage_location,
    get_log_file_location,
    get_site_id,
)
from egse.files import make_folder, write_atomically
from egse.process import SubProcess
from egse.site.layout import SiteError, current_run_directory
from egse.site.programs import Entry, core_entries, script
from egse.site.units import device_unit, options_folder

UNIT_FOLDER = Path("/etc/systemd/system")
POLKIT_RULES = Path("/etc/polkit-1/rules.d")
ENVIRONMENT_FILE = "env.txt"
RULE_FILE = "49-cgse.rules"
OPEN_FILES = 65_536
"""Limit of open files and sockets of each server."""

ENV = "/usr/bin/env"
"""Runs the program that an instance of the template names; systemd wants to know a program by a fixed path."""
STEPS_SINCE = 254
"""Version of systemd from which on the delay before a restart can grow."""
BACK_OFF = "# Back-off: 1 s at first, growing to 30 s.\nRestartSec=1\nRestartSteps=5\nRestartMaxDelaySec=30"
FIXED_DELAY = "# A delay that grows needs systemd 254.\nRestartSec=3"

ALSO_HANDED_ON = ("PYTHONPATH", "PYTHONSTARTUP")
"""Variables besides those of the site that are written down when they are set."""
LIBRARIES = "LD_LIBRARY_PATH"

_AFTER = {
    "log_cs": (),
    "sm_cs": ("log_cs",),
    "cm_cs": ("log_cs", "sm_cs"),
    "pm_cs": ("log_cs", "sm_cs", "cm_cs"),
    "syn_cs": ("log_cs", "sm_cs", "cm_cs"),
    "wd_cs": ("log_cs", "sm_cs", "cm_cs"),
    "fdir_cs": ("log_cs", "sm_cs", "cm_cs", "mon_cs"),
    "mon_cs": ("log_cs", "sm_cs", "cm_cs"),
}
"""Order of the start; nobody requires the others: each waits for those that are away, for as long as it takes."""

_UNIT = string.Template(
    """\
[Unit]
Description=$description
Documentation=man:systemd.service(5)
After=network-online.target$after
Wants=network-online.target
StartLimitIntervalSec=$limit_interval
${limit_burst}
[Service]
Type=exec
User=$user
Group=$group
EnvironmentFile=$environment
${options_file}WorkingDirectory=$folder
ExecStart=$command
Restart=on-failure
$back_off
TimeoutStopSec=10
KillMode=$kill_mode
LimitNOFILE=$open_files
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths=$writable
PrivateTmp=yes
$devices
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
${more}
[Install]
$install
"""
)

_RULE = string.Template(
    """\
// The process manager of the Common-EGSE may start and stop device servers, and nothing else.
polkit.addRule(function(action, subject) {
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "$user" &&
        /^cgse-device@[A-Za-z0-9_.-]+\\.service$$/.test(action.lookup("unit"))) {
        return polkit.Result.YES;
    }
});
"""
)


@dataclass(frozen=True)
class GeneratedFile:
    """One file of an installation.

    Attributes:
        path: where it belongs.
        text: its content.
        mode: its permissions.
    """

    path: Path
    text: str
    mode: int = 0o644


def make_files(
    user: str = "", group: str = "", environment_file: Path | None = None, version: int | None = None
) -> list[GeneratedFile]:
    """Returns everything that systemd needs for the site that the environment names.

    Args:
        user: who runs the servers; whoever runs this when empty.
        group: likewise; the first group of this process when empty.
        environment_file: where the environment file belongs; `env.txt` in the install location when None.
        version: of the systemd that will read them; that of this machine, or a recent one, when None.

    Raises:
        SiteError: when a name or path cannot stand in a unit file, or a service is not installed.
        EnvError: when a variable of the site is not set.
    """
    user = _checked_name(user or getpass.getuser(), "user")
    group = _checked_name(group or grp.getgrgid(os.getgid()).gr_name, "group")
    place = environment_file or Path(os.environ.get(names.INSTALL_LOCATION) or "/cgse") / ENVIRONMENT_FILE
    version = systemd_version() if version is None else version
    units = [
        GeneratedFile(UNIT_FOLDER / f"{entry.name}.service", _core_unit(entry, user, group, place, version))
        for entry in core_entries()
    ]
    template = GeneratedFile(UNIT_FOLDER / device_unit(""), _device_template(user, group, place, version))
    rule = GeneratedFile(POLKIT_RULES / RULE_FILE, _RULE.substitute(user=user))
    return [GeneratedFile(place, environment_text(), 0o640), *units, template, rule]


def install(files: list[GeneratedFile], folder: Path) -> list[Path]:
    """Writes files into one folder, from where they are copied to their places.

    Returns:
        Their paths, in the same order.

    Raises:
        OSError: when they cannot be written.
    """
    make_folder(folder, 0o755)
    paths = []
    for file in files:
        path = folder / file.path.name
        write_atomically(path, file.text.encode(), file.mode)
        paths.append(path)
    return paths


def environment_text(environment: Mapping[str, str] | None = None) -> str:
    """Returns the environment file of the site: every variable of it, and the search path for shared libraries.

    Args:
        environment: where the values come from; that of this process when None.

    Raises:
        SiteError: for a value that cannot stand in such a file.
    """
    values = os.environ if environment is None else environment
    lines = [
        "# Read by the units of the Common-EGSE (EnvironmentFile=); generated, see `cgse systemd install`."
    ]
    for name, (meaning, example) in names.VARIABLES.items():
        value = values.get(name) or (get_site_id() if name == names.SITE_ID else "")
        lines.append(f"# {meaning}")
        lines.append(_assignment(name, value) if value else f"#{name}={example}")
    lines.append(
        "# folders with shared libraries of instruments; what the process manager starts finds them here"
    )
    lines.append(_assignment(LIBRARIES, values.get(LIBRARIES, "")))
    lines += [_assignment(name, values[name]) for name in ALSO_HANDED_ON if values.get(name)]
    return "\n".join(lines) + "\n"


def _core_unit(entry: Entry, user: str, group: str, environment: Path, version: int | None) -> str:
    after = "".join(f" {name}.service" for name in _AFTER.get(entry.name, ()))
    is_manager = entry.name == "pm_cs"
    return _UNIT.substitute(
        _common(user, group, environment, version),
        description=f"Common-EGSE: {entry.title} ({entry.name})",
        after=after,
        limit_interval=0,
        limit_burst="",
        options_file="",
        command=f"{_path(Path(script(entry.command)))} start",
        # Nothing that the process manager may have started ends with it, whoever keeps it running.
        kill_mode="process" if is_manager else "mixed",
        devices="PrivateDevices=yes",
        more="# For the last lines of a server that crashed.\nSupplementaryGroups=systemd-journal\n"
        if is_manager
        else "",
        install="WantedBy=multi-user.target",
    )


def _device_template(user: str, group: str, environment: Path, version: int | None) -> str:
    after = "".join(f" {name}.service" for name in ("log_cs", "sm_cs", "cm_cs"))
    options = options_folder(current_run_directory())
    return _UNIT.substitute(
        _common(user, group, environment, version),
        description="Common-EGSE: control server %i",
        after=after,
        limit_interval=300,
        limit_burst="StartLimitBurst=8\n",
        options_file="# What it is started with besides `start`; written by the process manager.\n"
        f"EnvironmentFile=-{_path(options)}/%i.env\n",
        command=f"{ENV} {_path(Path(script('log_cs')).parent)}/%i start $CGSE_OPTIONS",
        kill_mode="mixed",
        devices="# Instruments on USB and serial lines: give the user their groups, e.g. SupplementaryGroups=dialout.",
        more="",
        install="WantedBy=multi-user.target",
    )


def _common(user: str, group: str, environment: Path, version: int | None) -> dict[str, object]:
    data, log = get_data_storage_location(), get_log_file_location()
    # A path with a minus sign may be missing.
    writable = [_path(data), *(f"-{_path(path)}" for path in (log, get_conf_repo_location()))]
    return {
        "user": user,
        "group": group,
        "environment": _path(environment),
        "folder": _path(data),
        "writable": " ".join(writable),
        "open_files": OPEN_FILES,
        "back_off": BACK_OFF if (version or STEPS_SINCE) >= STEPS_SINCE else FIXED_DELAY,
    }


def systemd_version() -> int | None:
    """Returns the version of systemd on this machine, None when there is none."""
    try:
        with SubProcess("systemctl", ["systemctl", "--version"]) as child:
            output, _ = child.communicate(10.0)
    except (FileNotFoundError, TimeoutError):
        return None
    match = re.match(r"systemd (\d+)", output)
    return int(match[1]) if match else None


def _path(path: Path) -> str:
    """Returns a path as it may stand in a unit file.

    Raises:
        SiteError: when systemd would read it otherwise.
    """
    text = str(path.expanduser().absolute())
    if not re.fullmatch(r"[\w/.@+:,=-]+", text.replace("%i", "")):
        raise SiteError(f"{text} cannot stand in a unit file: use a path of letters, digits and . _ - / only")
    return text


def _checked_name(name: str, what: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
        raise SiteError(f"{name!r} is no name of a {what}")
    return name


def _assignment(name: str, value: str) -> str:
    if any(character in value for character in "\n\r\0"):
        raise SiteError(f"the value of {name} has more than one line and cannot stand in an environment file")
    if re.fullmatch(r"[\w/.@+:,=~-]*", value):
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'{name}="{escaped}"'
