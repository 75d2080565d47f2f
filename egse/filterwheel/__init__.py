"""Filter wheels."""
