"""A simulated campus in its own process, reached only through its devices' protocols."""
