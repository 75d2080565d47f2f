"""The archive from its files alone: observations, their names, and whether they are still as recorded.

No service needs to run; a copy of the site's data folder on another machine is enough.

    observation = Observation(1151)             # or "01151_CSL1", "CSL1_00084_01151", a folder
    observation.status, observation.files, observation.raw_files
    observation.hk("PUNA")                      # pandas
    verify(observation)                         # [] when nothing was altered
"""

from egse.archive.observation import Observation, find_folder, find_raw_files, list_observations
from egse.archive.verification import Problem, verify
from egse.storage.naming import (
    FileName,
    ObservationName,
    parse_filename,
    parse_obsid,
    parse_prefix,
)

__all__ = [
    "FileName",
    "Observation",
    "ObservationName",
    "Problem",
    "find_folder",
    "find_raw_files",
    "list_observations",
    "parse_filename",
    "parse_obsid",
    "parse_prefix",
    "verify",
]
