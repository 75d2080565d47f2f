"""What the Setup says about the FEE: register map, housekeeping map, CCD numbers.

    camera:
      fee:
        register_map: yaml//../../common/n-fee/n_fee_register_pfm_v1.yaml
        hk_map: yaml//../../common/n-fee/n_fee_hk_pfm_v1.yaml
        ccd_numbering: {ccd_bin_to_id: [1, 2, 3, 4], ...}

What it does not say comes from the tables of this package, for the engineering model when PLATO_CAMERA_IS_EM says so, else
for the flight models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from egse.fee import NUMBERINGS, CCDNumbering, HKMap, camera_model, load_hk_map
from egse.reg import RegisterLayout, load_layout


@dataclass(frozen=True)
class FEEMaps:
    """The maps of one FEE.

    Attributes:
        layout: register map.
        hk_map: housekeeping map.
        numbering: CCD numbers.
        sources: where register and housekeeping map come from, in plain values: the name of a camera model, or the content.
        numbering_tables: CCD numbers in plain values.
    """

    layout: RegisterLayout
    hk_map: HKMap
    numbering: CCDNumbering
    sources: tuple[Any, Any]
    numbering_tables: dict[str, Any]

    @classmethod
    def of(cls, setup: Mapping[str, Any] | None, camera: str | None = None) -> FEEMaps:
        """Returns the maps that a Setup gives.

        Args:
            setup: the Setup; None when there is none.
            camera: "em", "pfm" or "fm", for what the Setup does not give; by PLATO_CAMERA_IS_EM when None.

        Raises:
            RegisterMapError, HKMapError, ValueError: when a map is not valid; the message says what is wrong.
        """
        fee: Any = setup
        for key in ("camera", "fee"):
            fee = fee.get(key) if isinstance(fee, Mapping) else None
        fee = fee if isinstance(fee, Mapping) else {}
        model = camera or camera_model()
        numbering = (
            CCDNumbering.from_mapping(node) if (node := fee.get("ccd_numbering")) else NUMBERINGS[model]
        )
        return cls.from_sources(
            _plain(fee.get("register_map")) or model, _plain(fee.get("hk_map")) or model, numbering
        )

    @classmethod
    def from_sources(cls, registers: Any, hk: Any, numbering: CCDNumbering) -> FEEMaps:
        """Returns the maps for what `sources` and `numbering` of others hold."""
        tables = {
            "ccd_bin_to_id": list(numbering.bin_to_id),
            "ccd_bin_to_idx": list(numbering.bin_to_idx),
            "default_ccd_readout_order": numbering.default_readout_order,
        }
        return cls(load_layout(registers), load_hk_map(hk), numbering, (registers, hk), tables)

    def as_plain(self) -> dict[str, Any]:
        """Returns what a DPU Processor needs, in plain values: see `from_plain`."""
        return {"registers": self.sources[0], "hk": self.sources[1], "numbering": self.numbering_tables}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> FEEMaps:
        """Returns the maps from `as_plain`."""
        numbering = CCDNumbering.from_mapping(values["numbering"])
        return cls.from_sources(values["registers"], values["hk"], numbering)


def _plain(value: Any) -> Any:
    """Returns dictionaries and lists of plain types; a Setup's are of its own type."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
