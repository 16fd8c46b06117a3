"""Injects faults into a running emulator over its control socket."""

from __future__ import annotations

from e2e.emulator_client import Running

from emulator.faults.control import EmulatorControl
from emulator.faults.vocabulary import fault_of


class Faults:
    """Injects into the emulator over its socket."""

    def __init__(self, bmc: Running) -> None:
        self.control = EmulatorControl(bmc.state_dir / "control.sock")

    def inject(self, kind: str, for_s: float | None = None, **parameters: object) -> str:
        """Let a fault begin; its id."""
        return self.control.inject(fault_of({"fault": kind, **parameters}), for_s)

    def clear_all(self) -> None:
        """Mend everything."""
        for entry in self.control.active():
            self.control.clear(entry["id"])
