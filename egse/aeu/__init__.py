"""The AEU test EGSE: cRIO, six power supplies and two waveform generators; see `egse.aeu.aeu`."""
