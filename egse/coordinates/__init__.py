"""Coordinates: rotations and positions in space, reference frames, the focal plane."""
