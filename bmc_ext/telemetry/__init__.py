"""Ring, aggregates, history and the snapshot that both faces render."""
