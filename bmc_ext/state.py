"""The state directory: one owner, one lock, and databases by class of state."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from bmc_ext.errors import StateError


def default_state_path() -> Path:
    """The XDG state folder of this program."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "dcpi-bmc"


class StateDirectory:
    """A directory of mode 0700 that exactly one process uses at a time.

    Raises StateError when it cannot be created or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
            self._lock = (path / "lock").open("w")
        except OSError as error:
            raise StateError(
                f"{path}: {error.strerror}; choose another with --state-dir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StateError(
                f"{path} is in use by another dcpi-bmc; stop it or choose another with --state-dir"
            ) from error

    def database(self, name: str, *, durable: bool, page_bytes: int = 4096) -> sqlite3.Connection:
        """Open `<name>.sqlite` in WAL mode; durable commits are on disk before they return.

        Only a new file takes `page_bytes`: small pages write less when commits are small. The
        connection may be used from any thread, but its owner serialises the calls.
        """
        connection = sqlite3.connect(
            self.path / f"{name}.sqlite", check_same_thread=False, isolation_level=None
        )
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA busy_timeout=2000")
        return connection

    def close(self) -> None:
        """Release the lock."""
        self._lock.close()
