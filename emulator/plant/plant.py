"""The running plant: physics on the wall clock, its devices and streams, under one lock."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.faults.vocabulary import Fault
from emulator.plant.campus import STEP_S, Campus
from emulator.plant.errors import StateError
from emulator.plant.facility import Facility
from emulator.plant.faults import PlantFaults
from emulator.plant.field_devices import TICK_S, FieldDevices
from emulator.plant.fieldbus import Fieldbus
from emulator.plant.fragment import fragment_of
from emulator.plant.it_load import Workload
from emulator.plant.stream import WaveformServer
from emulator.plant.truth import truth_of
from emulator.plant.waveform import Interval, Synthesizer, phasors_of

_LOG = logging.getLogger(__name__)

BLOCK_STEPS = 5
"""Physics steps per block of samples: 50 ms."""

_BLOCK_S = BLOCK_STEPS * STEP_S
_BLOCKS_PER_TICK = round(TICK_S / _BLOCK_S)
_BLOCKS_PER_SAVE = round(1.0 / _BLOCK_S)
_MAX_CATCH_UP_S = 60.0  # a longer stall becomes a gap in samples and physics
_GRID_NS = 100_000_000  # sample 0 lies on the UTC grid of the 100 ms windows


class Plant:
    """A campus that runs in real time; every block is made right after its 50 ms have elapsed.

    Time is the system's UTC at the start, carried on by the monotonic clock: sample counts never
    shift. After a stall all missed blocks are made one by one; only beyond a minute they are left
    out and the sample index jumps. The meters' energies survive a restart in `state_dir`.
    """

    def __init__(
        self,
        facility: Facility,
        seed: int,
        state_dir: Path,
        *,
        unix_ns: Callable[[], int] = time.time_ns,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        now_ns = unix_ns()
        epoch_ns = (now_ns // _GRID_NS + 1) * _GRID_NS
        self._monotonic_s = monotonic_s
        self._start_monotonic_s = monotonic_s() + (epoch_ns - now_ns) * 1e-9
        self._blocks = 0
        self._lock = threading.Lock()
        self._campus = Campus(facility, seed, epoch_ns * 1e-9)
        self._energies = state_dir / "meters.json"
        self._is_kept = True
        self._load_energies()
        self._synthesizer = Synthesizer(facility, seed, phasors_of(self._campus))
        self._devices = FieldDevices(self._campus, seed)
        self._fieldbus = Fieldbus(facility, self._devices.devices, state_dir)
        rate_hz = facility.waveform.sample_rate_hz
        self._faults = PlantFaults(self._campus, self._devices, self, seed, self._lock)
        self._streams = {
            hall_id: WaveformServer(rate_hz, epoch_ns) for hall_id in facility.hall_ids
        }

    def start(self) -> dict[str, Any]:
        """Open all ports; returns the configuration fragment that leads a controller to them.

        Raises OSError or drivers.errors.TransportError when one cannot be opened.
        """
        self._fieldbus.start()
        for stream in self._streams.values():
            stream.start()
        return fragment_of(
            self._campus.facility, self._devices.devices, self._fieldbus.addresses, self._streams
        )

    def stop(self) -> None:
        """Close all ports and keep the meters' energies."""
        self._fieldbus.stop()
        with self._lock:
            for stream in self._streams.values():
                stream.stop()
            self._save_energies()

    def run(self, stop: threading.Event) -> None:
        """Make block after block until `stop` is set."""
        while not stop.is_set():
            due_s = self._start_monotonic_s + (self._blocks + 1) * _BLOCK_S
            behind_s = self._monotonic_s() - due_s
            if behind_s < 0:
                stop.wait(-behind_s)
            elif behind_s > _MAX_CATCH_UP_S:
                self._skip(math.ceil(behind_s / _BLOCK_S))
            else:
                self._make_block()

    @property
    def device_names(self) -> frozenset[str]:
        """Everything that `stop_device` knows: devices, gateways and feeds."""
        return self._fieldbus.names | frozenset(self._streams)

    def truth(self) -> dict[str, Any]:
        """The truth of this moment; see truth_of."""
        with self._lock:
            return truth_of(self._campus)

    def announce(self, workload: Workload) -> None:
        """Add or change a workload."""
        with self._lock:
            self._campus.it.workloads.announce(workload)

    def remove_workload(self, workload_id: str) -> None:
        """End a workload now. Unknown: KeyError."""
        with self._lock:
            self._campus.it.workloads.remove(workload_id, self._campus.unix_s)

    def stop_device(self, name: str) -> None:
        """Make a device, a gateway or a feed's stream unreachable. Unknown: KeyError."""
        if name in self._streams:
            with self._lock:
                self._streams[name].stop()
        else:
            self._fieldbus.stop_device(name)

    def start_device(self, name: str) -> None:
        """Undo `stop_device`, at the same address. Unknown: KeyError."""
        if name in self._streams:
            with self._lock:
                self._streams[name].start()
        else:
            self._fieldbus.start_device(name)

    def ignore_writes(self, name: str, ignore: bool) -> None:
        """Make a device acknowledge writes without doing them, or obey again. Unknown: KeyError."""
        self._fieldbus.ignore_writes(name, ignore)

    def leak(self, loop_id: str, wet: bool) -> None:
        """Let it leak under a loop, or dry up. Unknown: KeyError."""
        if loop_id not in self._campus.facility.loop_ids:
            raise KeyError(loop_id)
        with self._lock:
            (self._campus.leaking.add if wet else self._campus.leaking.discard)(loop_id)

    def inject(self, fault_id: str, fault: Fault) -> None:
        """Let a fault begin; FaultError when nothing here can have it, OSError, TransportError."""
        self._faults.inject(fault_id, fault)

    def clear(self, fault_id: str) -> None:
        """End a fault. Unknown: KeyError. OSError or TransportError when a port is taken."""
        self._faults.clear(fault_id)

    def _make_block(self) -> None:
        with self._lock:
            samples = self._synthesizer.block([self._step() for _ in range(BLOCK_STEPS)])
            first_index = self._blocks * samples.shape[2]
            self._blocks += 1
            for stream, feed in zip(self._streams.values(), samples, strict=True):
                stream.publish(first_index, feed)
            if self._blocks % _BLOCKS_PER_TICK == 0:
                self._devices.measure()
            if self._blocks % _BLOCKS_PER_SAVE == 0:
                self._save_energies()

    def _step(self) -> Interval:
        start_rad = self._campus.grid.angle_rad
        self._campus.step()
        return Interval(start_rad, self._campus.grid.frequency_hz, phasors_of(self._campus))

    def _skip(self, blocks: int) -> None:
        with self._lock:
            self._blocks += blocks
            self._campus.skip(blocks * BLOCK_STEPS)

    def _load_energies(self) -> None:
        try:
            kept = json.loads(self._energies.read_text(encoding="utf-8"))
            for feed_id in self._campus.facility.metered:
                self._campus.import_j[feed_id] = float(kept[feed_id]["import_j"])
                self._campus.export_j[feed_id] = float(kept[feed_id]["export_j"])
            outlets_j = kept.get("rack_pdu", self._campus.rack_pdu.energy_j)
            self._campus.rack_pdu.energy_j[:] = outlets_j
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"{self._energies}: not the meters' energies: {error!r}") from error

    def _save_energies(self) -> None:
        kept: dict[str, object] = {
            feed_id: {
                "import_j": self._campus.import_j[feed_id],
                "export_j": self._campus.export_j[feed_id],
            }
            for feed_id in self._campus.facility.metered
        }
        kept["rack_pdu"] = self._campus.rack_pdu.energy_j.tolist()
        fresh = self._energies.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(kept), encoding="utf-8")
            fresh.replace(self._energies)
        except OSError as error:  # a full disk: the campus goes on, and the next second tries again
            if self._is_kept:
                _LOG.warning("the meters' energies are not kept: %s", error)
            self._is_kept = False
        else:
            self._is_kept = True
