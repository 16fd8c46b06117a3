"""Bytes to readings: field devices and waveform sources."""
