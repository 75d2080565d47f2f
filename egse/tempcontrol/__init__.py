"""Temperature controllers."""
