"""Hexapods of Symetrie: PUNA (Alpha or Alpha+ controller), ZONDA and JORAN.

| module | holds |
| --- | --- |
| `puna` `punaplus` `zonda` `joran` | Controller, Simulator and Proxy of one hexapod |
| `interface` `alphaplus` `big` | the commands, common ones first |
| `pmac` `shell` `answers` | the wires of the two kinds of controller |
| `platform` `mechanisms` `kinematics` | the machine, what distinguishes the hexapods, geometry |
| `model` `alpha_model` `alphaplus_model` | the simulated hexapods, byte for byte |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egse.device import DeviceFactoryInterface
from egse.lazy import lazy_names
from egse.settings import Settings, SettingsError

if TYPE_CHECKING:
    from egse.hexapod.symetrie.joran import JoranController, JoranProxy, JoranSimulator
    from egse.hexapod.symetrie.puna import PunaController, PunaProxy, PunaSimulator
    from egse.hexapod.symetrie.punaplus import PunaPlusController, PunaPlusProxy, PunaPlusSimulator
    from egse.hexapod.symetrie.zonda import ZondaController, ZondaProxy, ZondaSimulator

__all__ = [
    "ControllerFactory",
    "JoranController",
    "JoranProxy",
    "JoranSimulator",
    "ProxyFactory",
    "PunaController",
    "PunaPlusController",
    "PunaPlusProxy",
    "PunaPlusSimulator",
    "PunaProxy",
    "PunaSimulator",
    "ZondaController",
    "ZondaProxy",
    "ZondaSimulator",
]

_MODULES = {
    f"{kind}{role}": kind.lower()
    for kind in ("Puna", "PunaPlus", "Zonda", "Joran")
    for role in ("Controller", "Proxy", "Simulator")
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)

CONTROLLERS = "PUNA Hexapod Controllers"
"""Settings block with TYPE, HOSTNAME and PORT of the controllers of all PUNAs, by their identifier (`H_1A`)."""
KINDS = {"ALPHA": "Puna", "ALPHA_PLUS": "PunaPlus"}
"""Which classes belong to a TYPE."""


class ControllerFactory(DeviceFactoryInterface):
    """Makes the Controller that belongs to a device name and, for a PUNA, an identifier (manual, section 6.1.1).

    A Setup gets the Proxy of its control server, unless its `device_args` say `direct: true`.
    """

    def create(  # type: ignore[override]  # as in the manual
        self, device_name: str, *, device_id: str | None = None, **_ignored: Any
    ) -> Any:
        """Returns a Controller.

        Args:
            device_name: has puna, zonda or joran in it, in any case.
            device_id: identifier of a PUNA, `1A` or `H_1A`; host, port and type of its controller are in the settings.

        Raises:
            ValueError: when the name belongs to no hexapod, the identifier is missing, or the type is unknown.
            SettingsError: when the settings do not know the identifier.
        """
        kind, address = _find(device_name, device_id)
        controller: Any = __getattr__(f"{kind}Controller")
        return controller(**address)


class ProxyFactory(DeviceFactoryInterface):
    """Makes the Proxy that belongs to a device name and, for a PUNA, an identifier."""

    def create(  # type: ignore[override]  # as in the manual
        self, device_name: str, *, device_id: str | None = None, **_ignored: Any
    ) -> Any:
        """Returns a Proxy; arguments and errors are those of `ControllerFactory.create`."""
        kind, _ = _find(device_name, device_id)
        return __getattr__(f"{kind}Proxy")()


def _find(device_name: str, device_id: str | None) -> tuple[str, dict[str, Any]]:
    """Returns the kind of a hexapod and, for a PUNA, where its controller is."""
    name = device_name.lower()
    for kind in ("Zonda", "Joran"):
        if kind.lower() in name:
            return kind, {}
    if "puna" not in name:
        raise ValueError(f"Unknown device name: {device_name}")
    if not device_id:
        raise ValueError(f"{device_name} needs a device_id, such as 1A: there are several PUNAs")
    identifier = str(device_id) if str(device_id).startswith("H_") else f"H_{device_id}"
    try:
        entry = Settings.load(CONTROLLERS)[identifier]
        address = {"hostname": entry["HOSTNAME"], "port": entry["PORT"]}
        kind = entry["TYPE"]
    except KeyError as exc:
        raise SettingsError(
            f"TYPE, HOSTNAME and PORT of {identifier} must stand in the settings under {CONTROLLERS!r}"
        ) from exc
    if kind not in KINDS:
        raise ValueError(f"Unknown controller_type ({kind}) for {device_name} at {identifier}")
    return KINDS[kind], address
