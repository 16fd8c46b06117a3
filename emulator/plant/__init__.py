"""A simulated campus in its own process, reached only through its devices' protocols.

campus is the pure physics (it_load, feeds, battery, coolant) from the nameplates of a facility;
waveform turns it into samples, field_devices into registers; fieldbus, stream and control are its
ports, plant runs it on the wall clock and process is the program. client talks to a running one.
"""
