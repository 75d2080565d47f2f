"""The Jupyter side: the kernel `camtest` and what it offers."""
