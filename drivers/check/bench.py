"""One check of one device, from the first request to the observations."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from drivers.check.bus_tap import BusTap, Record, tap_for
from drivers.check.limits import LIMITS, own_range, quantity_of
from drivers.check.modbus_wire import abandoned_request, answers, is_simulated, wrong_requests
from drivers.check.observations import (
    Load,
    Observations,
    PointObservation,
    Proof,
    Pull,
    Reference,
    Suspicion,
    WrongRequest,
)
from drivers.check.outage import pulls
from drivers.check.proofs import golden_proofs, identify_proofs
from drivers.check.reference import DeviceReference, TableReference
from drivers.check.sampling import (
    EngineSamples,
    FastReader,
    Served,
    newest_values,
    unbounded_values,
    wait_settled,
    watch,
)
from drivers.check.series import Series, resolution
from drivers.check.settings import CheckSettings, checked_pairs
from drivers.check.suspicion import far_off, scale_suspicion, suspicions
from drivers.codec import PointCodec
from drivers.engine import DeviceSpec, Engine
from drivers.errors import CheckError, TransportError
from drivers.profile_types import Point
from drivers.protocol import protocol_named
from drivers.read_plan import ReadBlock

_DEVICE, _REFERENCE = "device", "reference"
_FIRST_TRIES = 5
_FIRST_VALUES_S = 4.0
_GONE_S = 0.5
# Called with the part that is going on and its done share, 0 to 1.
Report = Callable[[str, float], None]


def _silent(part: str, share: float) -> None:
    """Nobody wants to know."""
    del part, share


PARTS = ("refresh", "load", "wrong requests", "service", "cable pull", "judging")


class Bench:
    """Makes one check; `records` afterwards is what went over the bus.

    Raises CheckError and TargetError for what cannot be asked, BusOverloadError when the polls do
    not fit the line, TransportError when the device never answers.
    """

    def __init__(self, settings: CheckSettings, report: Report | None = None) -> None:
        self.settings = settings
        self.records: list[Record] = []
        self._report = report or _silent
        self._protocol = protocol_named(settings.profile.protocol)
        self._modbus = settings.profile.protocol == "modbus"
        self._notes: list[str] = []
        self._pairs = checked_pairs(settings)

    def run(self) -> Observations:
        """Everything, one part after the other."""
        started = time.time()
        with self._tapped() as tap:
            target = self.settings.target if tap is None else tap.target
            simulated = self._modbus and tap is not None and self._is_simulated(target)
            first, reader = self._read_by_itself(target)
            load = self._loaded(target)
            wrong, abandoned = self._wrong(target, tap)
            served = self._serve(target, tap)
            reference = self._reference_series(served.reference)
            points = self._points(served, reader, reference)
            identify = identify_proofs(self.settings.profile, first)
            wrong_values = any(p.holds is False for p in (*identify, *served.checks)) or any(
                value is None for value in first.values()
            )
            found = self._suspicions(target, points, wrong_values)
        self._report("judging", 1.0)
        return Observations(
            profile=self.settings.profile,
            target=self.settings.target,
            unit=self.settings.unit,
            started_at=started,
            duration_s=self.settings.duration_s,
            points=points,
            statistics=served.statistics,
            simulated=simulated,
            golden=golden_proofs(self.settings.profile),
            identify=identify,
            checks=served.checks,
            load=load,
            poll_requests=len(list(self._requests())),
            pulls=[*abandoned, *served.pulls],
            wrong_requests=wrong,
            writes=served.writes,
            suspicions=found,
            reference=self._reference_facts(),
            notes=self._notes,
        )

    @contextlib.contextmanager
    def _tapped(self) -> Iterator[BusTap | None]:
        settings = self.settings
        tap = tap_for(
            settings.target,
            self._protocol.parse_target(settings.target),
            settings.profile.transport,
        )
        if tap is None:
            self._notes.append("this protocol has no byte stream: no bus trace, no cable pull")
            yield None
            return
        tap.start()
        try:
            yield tap
        except TransportError as error:
            raise TransportError(self._untapped(str(error), tap)) from error
        finally:
            tap.stop()
            self.records = tap.records

    def _untapped(self, text: str, tap: BusTap | None) -> str:
        """A message about the device that was asked for, not about the tap before it."""
        if tap is None:
            return text
        before, behind = (
            self._protocol.parse_target(target).bus.partition("://")[2]
            for target in (tap.target, self.settings.target)
        )
        return text.replace(before, behind)

    # -- alone with the device -------------------------------------------------------------------

    def _timeout_s(self) -> float:
        return self.settings.profile.transport.timeout_s

    def _unit_at(self, target: str) -> int:
        """The unit; a target of some protocols names it."""
        own: int | None = getattr(self._protocol.parse_target(target), "unit", None)
        return self.settings.unit if own is None else own

    def _is_simulated(self, target: str) -> bool:
        # A pause lets a line's first, unknown function die away before the next request.
        return is_simulated(target, self.settings.unit, self._timeout_s())

    @contextlib.contextmanager
    def _transport(self, target: str) -> Iterator[Any]:
        profile = self.settings.profile
        transport = self._protocol.transport(self._protocol.parse_target(target), profile.transport)
        with contextlib.closing(transport):
            yield transport
        if profile.transport.tcp_clients is not None:
            # It may still take the client that has just gone for its only one.
            time.sleep(_GONE_S)

    def _read_by_itself(self, target: str) -> tuple[dict[str, float | None], FastReader]:
        """First values, then as many as the bus allows; TransportError if it never answers."""
        with self._transport(target) as transport:
            reader = FastReader(transport, self.settings.profile, self._unit_at(target))
            first = self._first_values(reader, target)
            seconds = min(30.0, max(1.0, self.settings.duration_s / 2.0))
            reader.poll(seconds, self._quickest_s(), partial(self._report, "refresh"))
        return first, reader

    def _quickest_s(self) -> float:
        """The shortest interval that is declared, or that the standard asks of a point."""
        profile = self.settings.profile
        asked = [group.source_s for group in profile.groups.values()]
        for point in profile.points.values():
            limit = LIMITS.get(self._quantity(point) or "")
            if limit is not None and limit.interval_s is not None:
                asked.append(limit.interval_s)
        return min(asked)

    def _quantity(self, point: Point) -> str | None:
        """As what a point is judged."""
        told = self.settings.quantities.get(point.name)
        return quantity_of(self.settings.profile, point) if told is None else told

    def _first_values(self, reader: FastReader, target: str) -> dict[str, float | None]:
        failure: str | None = None
        values: dict[str, float | None] = {}
        for _ in range(_FIRST_TRIES):
            values, failure = reader.read()
            if any(value is not None for value in values.values()):
                return values
        if self._modbus and failure is not None:
            block = self._protocol.heartbeat(self.settings.profile)
            if not answers(target, self.settings.unit, block, self._timeout_s()):
                raise TransportError(f"{self.settings.target}: {failure}")
        elif failure is not None:
            raise TransportError(f"{self.settings.target}: {failure}")
        return values

    def _loaded(self, target: str) -> Load:
        with self._transport(target) as transport:
            reader = FastReader(transport, self.settings.profile, self._unit_at(target))
            seconds = min(10.0, max(0.5, self.settings.duration_s / 6.0))
            return reader.load(seconds, partial(self._report, "load"))

    def _wrong(
        self, target: str, tap: BusTap | None
    ) -> tuple[list[WrongRequest] | None, list[Pull]]:
        if not self._modbus or tap is None:
            return None, []
        profile, unit, timeout_s = self.settings.profile, self.settings.unit, self._timeout_s()
        alive: ReadBlock = self._protocol.heartbeat(profile)
        found = []
        for request in wrong_requests(target, unit, profile, alive, timeout_s):
            tap.note(f"wrong request: {request.kind}: {request.answer}")
            found.append(request)
            self._report("wrong requests", len(found) / 6.0)
        other = next((b for b in self._requests() if b.count != alive.count), None)
        if other is None:
            return found, []
        seconds, note = abandoned_request(target, unit, other, alive, timeout_s)
        self._report("wrong requests", 1.0)
        note = note or "the next request was answered"
        return found, [Pull("a request that was abandoned before its answer", seconds, note)]

    def _requests(self) -> Iterator[Any]:
        """What one poll of everything asks."""
        profile = self.settings.profile
        for group in profile.groups:
            codecs = [PointCodec(p) for p in profile.points.values() if p.group == group]
            if codecs:
                yield from self._protocol.plan(profile, codecs).requests

    # -- in service ------------------------------------------------------------------------------

    def _serve(self, target: str, tap: BusTap | None) -> Served:
        """Let the engine poll device and reference for the whole duration, then pull the cable."""
        settings = self.settings
        specs = [DeviceSpec(_DEVICE, str(settings.profile.path), target, settings.unit)]
        reference = settings.reference
        if isinstance(reference, DeviceReference):
            where = target if self._shares_bus(reference) else reference.target
            specs.append(DeviceSpec(_REFERENCE, str(reference.profile.path), where, reference.unit))
        engine = Engine(specs)
        engine.start()
        try:
            wait_settled(engine, engine.device_ids, _FIRST_VALUES_S)
            samples = {name: EngineSamples(engine, name) for name in engine.device_ids}
            every_s = min(group.every_s for group in settings.profile.groups.values())
            watch(
                samples.values(),
                every_s,
                settings.duration_s,
                partial(self._report, "service"),
            )
            statistics = engine.statistics(_DEVICE)
            if statistics.last_error is not None:
                said = self._untapped(statistics.last_error, tap)
                statistics = replace(statistics, last_error=said)
            pulled = []
            if tap is not None:
                share = partial(self._report, "cable pull")
                pulled = list(pulls(engine, _DEVICE, tap, every_s, share))
                if not pulled:
                    self._notes.append("no cable was pulled: nothing had been read before")
            writes = self._writes(engine) if settings.allow_writes else None
        finally:
            engine.stop()
        own = samples[_DEVICE]
        checks = [
            Proof(check.text, own.check_held(check.text), check.why or "")
            for check in settings.profile.checks
        ]
        beside = samples[_REFERENCE].series() if _REFERENCE in samples else {}
        return Served(own, statistics, checks, pulled, writes, beside)

    def _shares_bus(self, reference: DeviceReference) -> bool:
        mine = self._protocol.parse_target(self.settings.target)
        theirs = protocol_named(reference.profile.protocol).parse_target(reference.target)
        return bool(mine.bus == theirs.bus)

    def _writes(self, engine: Engine) -> list[Proof]:
        """Write to each writable point what it holds: nothing changes, and it must be accepted."""
        proofs = []
        for name, point in self.settings.profile.points.items():
            if point.write is None:
                continue
            value = engine.reading(_DEVICE, name).value
            if value is None:
                proofs.append(Proof(name, None, "it has no value to write again"))
                continue
            try:
                result = engine.write(_DEVICE, name, value)
            except Exception as error:  # outside its own bounds: a profile's or a device's fault
                proofs.append(Proof(name, False, str(error)))
                continue
            proofs.append(Proof(name, result.status == "accepted", result.reason or ""))
        return proofs

    # -- putting it together ---------------------------------------------------------------------

    def _reference_series(self, beside: Mapping[str, Series]) -> dict[str, Series]:
        """The reference's samples by the device's points."""
        reference = self.settings.reference
        if isinstance(reference, TableReference):
            try:
                return reference.series(self.settings.profile, self._pairs)
            except CheckError as error:
                # It was right at the beginning: what the device showed since is worth its report.
                self._notes.append(f"the reference cannot be read any more: {error}")
                return {}
        return {mine: beside[theirs] for mine, theirs in self._pairs.items() if theirs in beside}

    def _reference_facts(self) -> Reference | None:
        reference = self.settings.reference
        if reference is None:
            return None
        if isinstance(reference, TableReference):
            return Reference(str(reference.path))
        text = f"{reference.profile.id} at {reference.target} unit {reference.unit}"
        modbus = reference.profile.protocol == "modbus"
        simulated = modbus and is_simulated(
            reference.target, reference.unit, reference.profile.transport.timeout_s
        )
        return Reference(text, simulated)

    def _points(
        self, served: Served, reader: FastReader, reference: Mapping[str, Series]
    ) -> dict[str, PointObservation]:
        profile, polled, fast = self.settings.profile, served.samples.series(), reader.series()
        points = {}
        for name, point in profile.points.items():
            codec = PointCodec(point)
            shares = served.samples.qualities(name)
            ok_share = shares.pop("ok", 0.0)
            quantity = self._quantity(point)
            points[name] = PointObservation(
                name=name,
                unit=codec.unit,
                quantity=None if quantity == "none" else quantity,
                monotonic=point.monotonic,
                resolution=resolution(profile, point, polled),
                own_range=own_range(codec),
                source_s=profile.groups[point.group].source_s,
                polled=polled[name],
                fast=fast[name],
                ok_share=ok_share,
                qualities=shares,
                reference=reference.get(name),
            )
        return points

    def _suspicions(
        self,
        target: str,
        points: Mapping[str, PointObservation],
        wrong: bool,
    ) -> list[Suspicion]:
        """What would explain values that do not fit; `wrong` when the profile's own demands fail.

        Only Modbus has orders and addresses to be mistaken in.
        """
        # What is true now: a quantity that moved was something else on average.
        truth = newest_values(
            {name: p.reference for name, p in points.items() if p.reference is not None}
        )
        with self._transport(target) as transport:
            seen = unbounded_values(
                transport, self.settings.profile, self._unit_at(target), self._timeout_s()
            )
            scales = [
                scale
                for name, true in truth.items()
                if not points[name].monotonic
                and (scale := scale_suspicion(name, seen.get(name), true)) is not None
            ]
            if scales or not self._modbus or not (wrong or far_off(seen, truth)):
                return scales
            return suspicions(
                transport, self.settings.unit, self.settings.profile, self._timeout_s(), truth
            )
