"""Stages of HUBER."""
