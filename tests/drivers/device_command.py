"""`dcpi-bmc device` as a user runs it: each command in a process of its own."""

from __future__ import annotations

import subprocess
import sys

COMMAND = [sys.executable, "-c", "from drivers.cli import device; device(prog_name='device')"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `device` with these arguments to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
