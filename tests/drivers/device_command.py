"""`dcpi-bmc device` as a user runs it: each command in a process of its own."""

from __future__ import annotations

import subprocess
import sys

# Whoever is started in the background by a shell ignores SIGINT, and so do its children.
_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from drivers.cli import device
device(prog_name="device")
"""
COMMAND = [sys.executable, "-c", _PROGRAM]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `device` with these arguments to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
