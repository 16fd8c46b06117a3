"""Whether two messages say the same: the fingerprint of a message without its header."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_HEADER = frozenset({"timestamp", "facility_id", "correlation_id"})
"""Members of the header (DCPI 5.2.1) that differ between a message and its repetition."""


def fingerprint(message: dict[str, Any]) -> str:
    """A digest that does not depend on the header, the order of members, or 180 against 180.0."""
    content = {name: _plain(value) for name, value in message.items() if name not in _HEADER}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
