"""Environment variables by which a runner tells a kernel what it takes part in."""

from __future__ import annotations

RUN_ID_VARIABLE = "CAMTEST_RUN_ID"
"""Run id of the observation that the runner holds; "dry-run" in a dry run."""
OBSERVATION_VARIABLE = "CAMTEST_OBSERVATION"
"""The configuration manager's record of that observation, as JSON."""
SPOOL_VARIABLE = "CAMTEST_SPOOL"
"""Path of the file to which the events of that observation are appended."""
DRY_RUN_VARIABLE = "CAMTEST_DRY_RUN"
"""`1`: commands go to models and are logged instead of sent."""
SETUP_FILE_VARIABLE = "CAMTEST_SETUP_FILE"
"""Setup file for a dry run."""
SPOOL_LOCATION_VARIABLE = "CAMTEST_SPOOL_LOCATION"
"""Folder of the event spools, on a local disk."""
LEASE_VARIABLE = "CAMTEST_LEASE"
"""Lease of a run [s], instead of 12 s: longer where the configuration manager is far away."""
