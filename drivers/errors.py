"""The drivers' one exception tree; the base is never raised itself.

    DriverError
    ├── ProfileError       a device profile is wrong; names file, line and reason
    ├── TransportError     the device or its bus does not answer
    ├── WriteRefusedError  a write is outside the profile's bounds or the point is read-only
    └── RecordingError     a waveform file cannot be read or paired

Bad arguments of a Python call are ValueError.
"""

from __future__ import annotations


class DriverError(Exception):
    """Root of all errors that the drivers raise on purpose."""


class ProfileError(DriverError):
    """A device profile that breaks its schema; the text names file, line and reason."""


class TransportError(DriverError):
    """The device or its bus did not answer in time, or answered with an exception."""


class WriteRefusedError(DriverError):
    """A write outside the profile's bounds, or to a read-only or unknown point."""


class RecordingError(DriverError):
    """A waveform recording that cannot be read or whose channels cannot be paired."""
