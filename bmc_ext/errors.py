"""The extension's one exception tree; the bases are never raised themselves.

    DcpiError
    ├── ConfigurationError    what the user configured cannot work; names where
    ├── MessageError          a message is not well formed; names the property
    ├── ConflictError         the same identity with other content, or a state that forbids it
    ├── NotFoundError         nothing lives under that identity
    ├── StateError            the state directory cannot be used
    ├── SamplingError         the process that samples the feeds does not start
    └── HostUnavailableError  the host BMC does not answer

Bad arguments of a Python call are ValueError.
"""

from __future__ import annotations

from typing import Literal


class DcpiError(Exception):
    """Root of all errors that the extension raises on purpose."""


class ConfigurationError(DcpiError):
    """A configuration that cannot work; the text names the place and the remedy."""


Fault = Literal["missing", "type", "choice", "range", "format"]
"""What can be wrong with a member of a message."""


class MessageError(DcpiError):
    """A message that is not well formed or breaks its schema.

    `property_path` is the JSON Pointer of the offending member ("" is the whole body), `fault` what
    is wrong with its `value` (shortened), where that is known.
    """

    def __init__(
        self, text: str, property_path: str = "", fault: Fault | None = None, value: str = ""
    ) -> None:
        super().__init__(text)
        self.property_path = property_path
        self.fault = fault
        self.value = value


class ConflictError(DcpiError):
    """The same identity was used before with other content."""


class NotFoundError(DcpiError):
    """No such workload, system, account, session or event."""


class StateError(DcpiError):
    """The state directory is locked, unreadable or damaged."""


class SamplingError(DcpiError):
    """The process that samples the feeds ended before it began."""


class HostUnavailableError(DcpiError):
    """The host BMC behind the port did not answer; it is of use to ask again in `retry_after_s`."""

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
