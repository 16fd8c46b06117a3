"""The port behind which searches for services on the network are answered."""

from __future__ import annotations

from typing import Protocol


class Discovery(Protocol):
    """Who answers searches, where that is configured."""

    enabled: bool
    """Whether searches are answered; kept over a restart."""
