"""Bench power supplies."""
