"""The extension's one exception tree; the bases are never raised themselves.

    DcpiError
    ├── ConfigurationError    what the user configured cannot work; names where
    ├── MessageError          a message is not well formed; names the property
    ├── ConflictError         the same identity with other content, or a state that forbids it
    ├── NotFoundError         nothing lives under that identity
    ├── StateError            the state directory cannot be used
    └── HostUnavailableError  the host BMC does not answer

Bad arguments of a Python call are ValueError.
"""

from __future__ import annotations


class DcpiError(Exception):
    """Root of all errors that the extension raises on purpose."""


class ConfigurationError(DcpiError):
    """A configuration that cannot work; the text names the place and the remedy."""


class MessageError(DcpiError):
    """A message that is not well formed or breaks its schema.

    `property_path` is the JSON Pointer of the offending member ("" is the whole body).
    """

    def __init__(self, text: str, property_path: str = "") -> None:
        super().__init__(text)
        self.property_path = property_path


class ConflictError(DcpiError):
    """The same identity was used before with other content."""


class NotFoundError(DcpiError):
    """No such workload, system, account, session or event."""


class StateError(DcpiError):
    """The state directory is locked, unreadable or damaged."""


class HostUnavailableError(DcpiError):
    """The host BMC behind the port did not answer."""
