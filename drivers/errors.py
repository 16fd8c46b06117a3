"""The drivers' one exception tree; the base is never raised itself.

    DriverError
    ├── ProfileError       a device profile is wrong; names file, line and reason
    ├── TargetError        a device's address cannot be used; names the device and the reason
    ├── BusOverloadError   the polls do not fit their bus, or the buses the process; the arithmetic
    ├── TransportError     the device or its bus does not answer
    ├── CheckError         a check of a device is asked for what cannot be, or of a broken reference
    ├── WriteRefusedError  a write is outside the profile's bounds or the point is read-only
    ├── RecordingError     a waveform file cannot be read or paired
    └── LayoutError        samples are not laid out, or channels not there, as they would have to be

Bad arguments of a Python call are ValueError.
"""

from __future__ import annotations


class DriverError(Exception):
    """Root of all errors that the drivers raise on purpose."""


class ProfileError(DriverError):
    """A device profile that breaks its schema; the text names file, line and reason."""


class TargetError(DriverError):
    """A device's target is not an address that the drivers know, or contradicts its bus."""


class BusOverloadError(DriverError):
    """A bus, a device or the process is asked for more than it can do; the text shows why."""


class TransportError(DriverError):
    """The device or its bus did not answer in time, or answered with an exception.

    `exception_code` is the protocol's error code, such as a Modbus exception, None when nothing was
    answered. `refused` is whether the device itself gave it: a gateway answers for a silent one.
    `connected` is False when not even a connection came about.
    """

    def __init__(
        self,
        text: str,
        *,
        exception_code: int | None = None,
        refused: bool | None = None,
        connected: bool = True,
    ) -> None:
        super().__init__(text)
        self.exception_code = exception_code
        self.refused = exception_code is not None if refused is None else refused
        self.connected = connected


class WriteRefusedError(DriverError):
    """A write outside the profile's bounds, or to a read-only or unknown point."""


class CheckError(DriverError):
    """A check of a device that cannot be made as asked; names the file and line of a reference."""


class RecordingError(DriverError):
    """A waveform recording that cannot be read or whose channels cannot be paired."""


class LayoutError(DriverError):
    """A live source of samples whose layout or channels cannot be used; names which and why."""
