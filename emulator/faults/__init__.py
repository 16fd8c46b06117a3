"""Faults of the emulator: one vocabulary for scenario files and for the control socket."""
