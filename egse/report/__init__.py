"""Looking back: the report of a day, the shift logbook and the hand-over page, from the files of the archive alone."""
