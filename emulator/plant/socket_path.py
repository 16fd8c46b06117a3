"""Where a plant's control socket lies."""

from __future__ import annotations

import os
from pathlib import Path

from emulator.plant.errors import StateError

_MAX_BYTES = 107  # sun_path of sockaddr_un on Linux, less its end (unix(7))


def control_socket(state_dir: Path) -> Path:
    """The control socket of the plant with that state directory; StateError when none can be."""
    path = state_dir.resolve() / "control.sock"
    if (size := len(os.fsencode(path))) > _MAX_BYTES:
        raise StateError(
            f"{path}: a socket's path holds {_MAX_BYTES} bytes, this one has {size}: "
            "choose a shorter --state-dir"
        )
    return path
