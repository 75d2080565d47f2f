"""The source position in the field of view: `fov_hk`, its housekeeping, and the positions that have been visited."""

from typing import TYPE_CHECKING

from egse.lazy import lazy_names

if TYPE_CHECKING:
    from egse.fov.interface import FOVInterface, FOVProxy
    from egse.fov.mechanism import SourceMechanism, mechanism_of

__all__ = ["FOVInterface", "FOVProxy", "SourceMechanism", "mechanism_of"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FOVInterface": "interface",
        "FOVProxy": "interface",
        "SourceMechanism": "mechanism",
        "mechanism_of": "mechanism",
    },
    __all__,
)
