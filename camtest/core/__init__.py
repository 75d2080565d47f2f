"""What test engineers write in: building blocks, observations, command sequences, dry runs."""
