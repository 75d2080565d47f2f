"""Named places in the start and end of an observation at which tests kill the server process.

Set `CGSE_FAIL_POINT` to one of these names in the environment of the server (see `egse.decorators.fail_point`). The table
says what is on disk at that moment, and therefore what the record must say after the server is back.
"""

FAIL_POINTS: dict[str, str] = {
    "cm.start.before_record": "nothing: no test id is allocated",
    "cm.start.after_record": "the record `open`: the test id is allocated, no folder yet",
    "cm.start.after_storage": "the record `open` and the open folder, no line in the obsid table",
    "cm.start.after_table": "everything; only the answer to the client is missing",
    "cm.end.before_closing": "the observation is open still",
    "cm.end.after_closing": "the record `closing` with the final status, the folder is not sealed",
    "cm.end.after_seal": "the folder is sealed, the record says `closing`",
    "cm.end.after_closed": "everything; only the answer to the client is missing",
    "sm.start.before_folder": "the record `open`, no folder",
    "sm.start.after_folder": "the record `open` and the folder, which the storage manager does not know as open yet",
    "sm.start.after_state": "the folder is open, the configuration manager has no answer",
    "sm.end.before_seal": "the record `closing`, the folder without a manifest",
    "sm.end.after_seal": "the manifest, which the storage manager does not know as written yet",
    "sm.end.after_state": "the folder is sealed, the configuration manager has no answer",
}
"""Name of each fail point and what is on disk there; `cm.` in the configuration manager, `sm.` in the storage manager."""

SUBMIT_FAIL_POINTS: dict[str, tuple[str, bool]] = {
    "cm.submit.before_file": ("nothing", False),
    "cm.submit.after_file": ("the file of the Setup; it is committed at the next start", True),
    "cm.submit.after_add": ("the file, known to git; it is committed at the next start", True),
    "cm.submit.after_commit": ("the commit; the Setup is not loaded, last_setup_id.txt has the old id", True),
    "cm.submit.after_load": ("everything; only the answer to the client is missing", True),
}
"""Fail points of a submission: what is on disk there, and whether the new Setup exists after the next start."""
