"""A captured resource without what differs from one capture, or one machine, to the next."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["stable"]

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")
_NEUTRAL_TIME = "2000-01-01T00:00:00Z"
_DECIMAL = re.compile(r"-?\d+\.\d+(e[+-]?\d+)?", re.IGNORECASE)

_NEUTRAL: dict[str, Any] = {
    "@odata.etag": 'W/"0"',
    "CertificateString": None,
    "Conditions": [],
    "FQDN": "bmc.example.com",
    "Fingerprint": "00",
    "HostName": "bmc",
    "MACAddress": "00:00:5E:00:53:01",  # one for documentation (RFC 7042 2.1.2)
    "PermanentMACAddress": "00:00:5E:00:53:01",
    "SerialNumber": "00",
    "ServiceEntryPointUUID": "00000000-0000-0000-0000-000000000000",
    "UUID": "00000000-0000-0000-0000-000000000000",
    "WindowId": 0,
}
"""What stands for values of these properties, unless they are null."""

_ADDRESSES = ("Address", "Gateway", "IPv6DefaultGateway", "NameServers", "StaticNameServers")
"""Properties with IP addresses: one for documentation stands for each (RFC 5737, RFC 3849)."""


def stable(value: Any, name: str = "") -> Any:
    """The value of the property of that name: readings keep one digit, times are one time.

    A reading is a number that is not whole, wherever it stands: of ratings and limits, which say
    what the equipment is, few have a fraction. What identifies a machine becomes neutral.
    """
    if isinstance(value, dict):  # a JSON Schema has objects of these names, too
        return {key: stable(inner, key) for key, inner in value.items()}
    if value is not None and name in _NEUTRAL:
        return _NEUTRAL[name]
    if isinstance(value, list):
        return [stable(inner, name) for inner in value]
    if isinstance(value, float):
        return _one_digit(value)
    return _stable_text(value, name) if isinstance(value, str) else value


def _stable_text(text: str, name: str) -> str:
    if name in _ADDRESSES:
        return "2001:db8::1" if ":" in text else "192.0.2.1"
    if _TIME.fullmatch(text):
        return _NEUTRAL_TIME
    return str(_one_digit(float(text))) if _DECIMAL.fullmatch(text) else text


def _one_digit(number: float) -> float:
    return number if number.is_integer() else float(f"{number:.0e}")
