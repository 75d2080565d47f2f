"""The command sequence: what a dry run gives and what an observation leaves.

plan = generate_command_sequence(warm_up, setpoint=20.0)
plan                                       # in a notebook: a tree; in a terminal one line
print(plan)                                # indented text
plan.tree(), plan.table(), plan.timeline() # rich, rich, matplotlib
plan.export("plan.json")                   # also .csv, .yaml, .md, .html, .txt
print(plan.diff(CommandSequence.of_observation(1151)))
"""

from camtest.core.sequence.asrun import AS_RUN
from camtest.core.sequence.difference import Difference, SequenceDiff
from camtest.core.sequence.entries import EntryKind, SequenceEntry
from camtest.core.sequence.exports import CSV_COLUMNS
from camtest.core.sequence.live import LiveSequence
from camtest.core.sequence.sequence import NOBODY, SCHEMA, CommandSequence

__all__ = [
    "AS_RUN",
    "CSV_COLUMNS",
    "NOBODY",
    "SCHEMA",
    "CommandSequence",
    "Difference",
    "EntryKind",
    "LiveSequence",
    "SequenceDiff",
    "SequenceEntry",
]
