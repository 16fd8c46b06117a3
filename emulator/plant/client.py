"""A client of the plant's control socket, for the emulator and for tests."""

from __future__ import annotations

from typing import Any, ClassVar

from emulator.control_socket import ControlClient
from emulator.faults.vocabulary import Fault


class PlantControl(ControlClient):
    """A connection to a running plant; see ControlClient."""

    peer: ClassVar[str] = "plant"

    def truth(self) -> dict[str, Any]:
        """What perfect instruments would show now: feeds, loops, silicon, battery, workloads."""
        truth: dict[str, Any] = self.ask(op="truth")["truth"]
        return truth

    def workload(
        self,
        workload_id: str,
        *,
        start_unix_s: float,
        end_unix_s: float | None,
        baseline_w: float,
        peak_w: float,
        max_w: float,
        ramp_w_per_s: float,
    ) -> None:
        """Announce a workload to the halls, or change a known one; powers in W, Unix seconds."""
        self.ask(
            op="workload",
            id=workload_id,
            start_unix_s=start_unix_s,
            end_unix_s=end_unix_s,
            baseline_w=baseline_w,
            peak_w=peak_w,
            max_w=max_w,
            ramp_w_per_s=ramp_w_per_s,
        )

    def workload_remove(self, workload_id: str) -> None:
        """End a workload now."""
        self.ask(op="workload_remove", id=workload_id)

    def device_stop(self, device_id: str) -> None:
        """Make a device, a gateway (`hall_1_gateway`) or a feed's stream (`hall_1`) unreachable."""
        self.ask(op="device_stop", id=device_id)

    def device_start(self, device_id: str) -> None:
        """Undo `device_stop`."""
        self.ask(op="device_start", id=device_id)

    def device_ignore_writes(self, device_id: str, ignore: bool) -> None:
        """Make a device acknowledge writes without doing them, or obey again."""
        self.ask(op="device_ignore_writes", id=device_id, ignore=ignore)

    def leak(self, loop_id: str, wet: bool) -> None:
        """Let it leak under a loop (`liquid_cooling_loop_a`), or dry up."""
        self.ask(op="leak", id=loop_id, wet=wet)

    def fault(self, fault_id: str, fault: Fault) -> None:
        """Let a fault of the plant or of a device begin."""
        self.ask(op="fault", id=fault_id, fault=fault.document)

    def fault_clear(self, fault_id: str) -> None:
        """End a fault."""
        self.ask(op="fault_clear", id=fault_id)
