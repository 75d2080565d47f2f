"""Rotation and translation stages."""
