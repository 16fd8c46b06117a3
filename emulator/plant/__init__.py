"""A simulated campus in its own process, reached only through its devices' protocols.

campus is the pure physics (it_load, feeds, battery, cooling); waveform turns it into samples,
instruments into registers; server and control are the process round it.
"""
