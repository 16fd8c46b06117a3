"""Run all tests, three files at a time, and once more, alone, the few that failed beside others.

Most of the time is spent in waiting for real windows and deadlines: three files at a time keep two
cores busy. On a machine that others share, a deadline is then now and again missed by a service
that is well; who fails again with the machine for itself has failed. What passed only alone is
named at the end: it deserves a look.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
MOST = 8
"""More than these are no accident."""


def main() -> int:
    """The exit status of pytest."""
    FAILED.unlink(missing_ok=True)
    beside_others = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
    status = run(*beside_others, *sys.argv[1:])
    failed = list(json.loads(FAILED.read_text(encoding="utf-8"))) if FAILED.exists() else []
    if status != 1 or not 0 < len(failed) <= MOST:
        return status
    print(f"once more, alone: {len(failed)} that failed beside others", flush=True)
    status = run(*failed)
    if status == 0:
        print("\n".join(["passed only alone:", *failed]), flush=True)
    return status


def run(*arguments: str) -> int:
    """The exit status of pytest with these arguments."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
