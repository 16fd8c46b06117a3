"""Shows scenes of a campus to the detector, block by block, and has its reports judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from campus_load import CampusLoad, Scene
from event_verdict import Report, Verdict

from bmc_ext.sampling.events import EventDetector, EventKind
from drivers.waveforms.block import Block

EPOCH_NS = 1_772_619_300_000_123_456  # between two ms


class Source:
    """What the detector is told of the samples' origin."""

    def __init__(self, rate_hz: float) -> None:
        self.phases = 3
        self.sample_rate_hz = rate_hz
        self.epoch_ns = EPOCH_NS
        self.skew_s = (0.0, 0.0, 0.0)


def judged(
    seed: int,
    scenes: int,
    *,
    nominal_hz: float = 50.0,
    rate_hz: int = 4800,
    block: int = 24,
    threshold_w: float = 50e6,
    progress: Callable[[int], None] | None = None,
) -> Verdict:
    """The verdict on `scenes` half minutes; a report counts from the end of its block on."""
    load = CampusLoad(seed, rate_hz=rate_hz, nominal_hz=nominal_hz)
    detector = EventDetector(nominal_hz=nominal_hz, threshold_w=threshold_w)
    detector.begin(Source(rate_hz))
    verdict = Verdict()
    for number, scene in enumerate(load.scenes(scenes)):
        verdict.judge(scene, reports_of(detector, scene, rate_hz, block))
        detector.set_frequency(load.frequency_hz)  # as the last window read it
        if progress is not None:
            progress(number + 1)
    return verdict


def reports_of(detector: EventDetector, scene: Scene, rate_hz: int, block: int) -> list[Report]:
    """What is reported while the scene's samples are shown."""
    first = round(scene.start_s * rate_hz)
    reports = []
    for offset in range(0, scene.samples.shape[1], block):
        samples = np.ascontiguousarray(scene.samples[:, offset : offset + block])
        detector.take(Block(first + offset, samples))
        known_s = (first + offset + samples.shape[1]) / rate_hz
        for event in detector.drain():
            if event.is_over or event.kind is not EventKind.POWER_CHANGE:
                continue
            assert event.change_w is not None
            reports.append(
                Report(
                    onset_s=(event.onset_ns - EPOCH_NS) * 1e-9,
                    detected_s=known_s if block <= 24 else (event.detected_ns - EPOCH_NS) * 1e-9,
                    change_w=event.change_w,
                )
            )
    return reports
