"""Mechanical ground support equipment."""
