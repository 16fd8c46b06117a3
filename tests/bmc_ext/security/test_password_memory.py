"""What checking passwords leaves behind in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import re, sys, threading
from pathlib import Path
from bmc_ext.security.accounts import Accounts
from bmc_ext.state import StateDirectory

def private_kb():
    text = Path("/proc/self/smaps_rollup").read_text()
    sizes = re.findall(r"^Private_(?:Clean|Dirty): +(\\d+) kB$", text, re.M)
    return sum(map(int, sizes))

state = StateDirectory(Path(sys.argv[1]))
accounts = Accounts(state)
accounts.ensure("anna", "a-password", "ReadOnly")
before_kb = private_kb()
threads = [
    threading.Thread(target=accounts.verify, args=("anna", f"wrong-{n}")) for n in range(6)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(private_kb() - before_kb)
accounts.close()
state.close()
"""


def test_passwords_leave_no_memory_behind(tmp_path: Path) -> None:
    """Six threads that each had 19 MiB for argon2 give them back."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(result.stdout) < 8 * 1024, f"{result.stdout} kB more than before"
