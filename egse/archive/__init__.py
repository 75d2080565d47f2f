"""The archive from its files alone: observations, their names, and whether they are still as recorded.

No service needs to run; a copy of the site's data folder on another machine is enough. Names are loaded when they are
used, so that a list of observations is there at once.

    observation = Observation(1151)             # or "01151_CSL1", "CSL1_00084_01151", a folder
    observation.status, observation.files, observation.raw_files
    observation.hk["PUNA"]                      # pandas, indexed by time (UTC)
    observation.images[1, "E"][0]               # numpy
    observation.commands, observation.events, observation.setup
    verify(observation)                         # [] when nothing was altered
"""

from typing import TYPE_CHECKING

from egse.archive.index import ArchiveIndex, Entry
from egse.archive.locate import find_folder, site_folder
from egse.archive.query import Query
from egse.lazy import lazy_names
from egse.storage.naming import (
    FileName,
    ObservationName,
    parse_filename,
    parse_obsid,
    parse_prefix,
)

if TYPE_CHECKING:
    from egse.archive.observation import Observation, find_raw_files, list_observations
    from egse.archive.verification import Problem, verify

__all__ = [
    "ArchiveIndex",
    "Entry",
    "FileName",
    "Observation",
    "ObservationName",
    "Problem",
    "Query",
    "find_folder",
    "find_raw_files",
    "list_observations",
    "parse_filename",
    "parse_obsid",
    "parse_prefix",
    "site_folder",
    "verify",
]

_MODULES = {
    **dict.fromkeys(("Observation", "find_raw_files", "list_observations"), "observation"),
    **dict.fromkeys(("Problem", "verify"), "verification"),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
