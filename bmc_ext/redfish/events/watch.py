"""Looks at the newest values several times a second and tells what has changed for the worse."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bmc_ext.domain.snapshot import TIME_LIMIT_S, Snapshot
from bmc_ext.domain.thresholds import Level, beyond
from bmc_ext.equipment import PointRef
from bmc_ext.errors import DcpiError
from bmc_ext.redfish import rack_pdus
from bmc_ext.redfish.confidence import camel
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.events.edges import Edges
from bmc_ext.redfish.events.health import HealthWatch
from bmc_ext.redfish.events.message import (
    DCPI,
    NORMAL_RANGE,
    POWER,
    RESOURCE,
    SENSOR,
    Happening,
    cleared_message,
    happening,
    passed_message,
)
from bmc_ext.redfish.events.power import of_logged
from bmc_ext.redfish.sensor_catalogue import DevicePoint
from bmc_ext.redfish.sensor_values import FacilitySensor
from bmc_ext.telemetry.event_log import LoggedEvent
from drivers.reading import Condition, Quality

_LOG = logging.getLogger(__name__)

_LOOK_S = 0.25
_EACH_SECOND = 4  # looks
_CALM_S = 10.0  # a bound that hovers around its limit is told once

_SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
_REALTIME = "/redfish/v1/dcpi/power/realtime"
_SYSTEMS = "/redfish/v1/Systems"
_LOOP_POINTS: Mapping[str, str] = {
    "supply": "SupplyTemperature",
    "return_": "ReturnTemperature",
    "flow": "Flow",
    "pressure": "Pressure",
    "pump_speed": "PumpSpeed",
}
_BAD = (Quality.STALE, Quality.COMM_ERROR, Quality.OUT_OF_RANGE)


class Watch:
    """Tells of what happens without a client's doing, in a thread of its own.

    Power events, lost and restored sensors and devices, limits that readings pass, conditions of
    sensors, the alarm of the time, leaks, the host's power supplies, power of its systems and of
    outlets.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sensors = Edges()
        self._devices = Edges()
        self._conditions = Edges(first_after_s=1.0)  # one is there or is not
        self._limits = Edges(first_after_s=1.0)
        self._beyond: dict[str, frozenset[Level]] = {}
        self._time = Edges(good_after_s=_CALM_S)
        self._texts: dict[tuple[str, str], tuple[Condition, str]] = {}
        self._limited = {
            name: sensor
            for name, sensor in context.facility_sensors.items()
            if any(sensor.limits.known())
        }
        self._health = HealthWatch(context)
        self._powered: dict[str, str] = {}
        self._points: Mapping[str, DevicePoint] = {}
        self._by_device: dict[str, dict[str, PointRef]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._context.events.log.observe(self._tell_logged)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._context.events.log.unobserve(self._tell_logged)
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self, *, slowly: bool) -> None:
        """One look; `slowly` also at what need not be seen at once: devices and systems."""
        now_s = self._context.clock.monotonic_s()
        snapshot = self._context.snapshots.latest()
        if snapshot is not None:
            self._follow_sensors(snapshot, now_s)
            self._follow_conditions(snapshot, now_s)
            self._follow_limits(snapshot, now_s)
            self._follow_time(snapshot, now_s)
        if slowly:
            self._follow_devices(now_s)
            self._follow_systems()
            self._follow_outlets()
            for event in self._health.changes():
                self._tell(event)

    def _run(self) -> None:
        looks = 0
        while not self._stopping.wait(_LOOK_S):
            looks += 1
            try:
                self.look(slowly=looks % _EACH_SECOND == 0)
            except Exception:
                _LOG.exception("a look for events failed; the next one follows")

    def _follow_sensors(self, snapshot: Snapshot, now_s: float) -> None:
        for sensor, quality in sensor_qualities(snapshot):
            turned = self._sensors.follow(sensor, quality in _BAD, now_s)
            if turned is not None:
                key = "SensorFailure" if turned else "SensorRestored"
                self._tell(self._of_sensor(f"{SENSOR}.{key}", [sensor], sensor))

    def _follow_conditions(self, snapshot: Snapshot, now_s: float) -> None:
        found = {(c.kind, c.sensor): (c, where) for c, where in conditions(snapshot)}
        for key in {**self._texts, **found}:
            if key in found:
                self._texts[key] = found[key]
            condition, where = self._texts[key]
            turned = self._conditions.follow(key, key in found, now_s)
            if turned is True:
                self._tell(_of_condition(condition, self._now_s(), f"{_SENSORS}/{where}"))
            elif turned is False:
                args = [camel(condition.kind), condition.sensor]
                self._tell(self._of_sensor(f"{DCPI}.ConditionCleared", args, where))
            if key not in found and not self._conditions.is_bad(key):
                del self._texts[key]

    def _follow_limits(self, snapshot: Snapshot, now_s: float) -> None:
        """An unknown value passes no limit and comes back over none."""
        for name, sensor in self._limited.items():
            value = sensor.value(snapshot).value
            if value is None:
                continue
            levels = beyond(sensor.limits, value, self._beyond.get(name, frozenset()))
            self._beyond[name] = levels
            turned = {
                level: turn
                for level, _ in sensor.limits.known()
                if (turn := self._limits.follow((name, level), level in levels, now_s)) is not None
            }
            self._tell_limits(name, sensor, value, turned)

    def _tell_limits(
        self, name: str, sensor: FacilitySensor, value: float, turned: Mapping[Level, bool]
    ) -> None:
        """Limits that were passed outward, critical ones that were passed back, the way home."""
        limits = dict(sensor.limits.known())
        is_outside = any(self._limits.is_bad((name, level)) for level in limits)
        shown, units = sensor.quantity.shown(value), sensor.quantity.units or "count"
        for level, begins in turned.items():
            if begins:
                message_id = passed_message(level)
            elif is_outside and level.endswith("Critical"):
                message_id = cleared_message(level)
            else:
                continue
            args = [name, shown, units, sensor.quantity.shown(limits[level])]
            self._tell(self._of_sensor(message_id, args, name))
        if turned and not is_outside:
            self._tell(self._of_sensor(NORMAL_RANGE, [name, shown, units], name))

    def _follow_time(self, snapshot: Snapshot, now_s: float) -> None:
        turned = self._time.follow("time", snapshot.time_alarm is not None, now_s)
        if turned is None:
            return
        key = "Exceeded" if turned else "Cleared"
        self._tell(
            happening(
                f"{RESOURCE}.ResourceWarningThreshold{key}",
                ["TimeBoundMilliseconds", f"{TIME_LIMIT_S * 1e3:g}"],
                at_s=self._now_s(),
                origin=_REALTIME,
                origin_type="DcpiPowerRealtime",
            )
        )

    def _follow_devices(self, now_s: float) -> None:
        points = self._context.device_sensors.points()
        if points is not self._points:  # devices have come or gone
            self._points, self._by_device = points, _by_device(points)
        self._devices.forget_all_but(self._by_device)
        for device, refs in self._by_device.items():
            turned = self._devices.follow(device, self._is_lost(refs.values()), now_s)
            if turned is not None:
                key = "DeviceLost" if turned else "DeviceRestored"
                self._tell(self._of_sensor(f"{DCPI}.{key}", [device], next(iter(refs))))

    def _is_lost(self, points: Iterable[PointRef]) -> bool:
        """Whether none of its points can be read; the first that can ends the search."""
        try:
            return all(
                self._context.device_sensors.value(point).quality
                in (Quality.COMM_ERROR, Quality.STALE)
                for point in points
            )
        except KeyError:
            return False  # it was removed a moment ago

    def _follow_systems(self) -> None:
        host = self._context.host
        if host is None:
            return
        with contextlib.suppress(DcpiError):  # the host's own trouble; its power is as it was
            for system, state in host.power_states().items():
                self._follow_system(system, state)

    def _follow_system(self, system: str, state: str) -> None:
        uri = f"{_SYSTEMS}/{system}"
        self._follow_power(uri, state, f"{RESOURCE}.Resource", system, "ComputerSystem")

    def _follow_outlets(self) -> None:
        context = self._context
        for pdu in context.config.rack_pdus if context.config.power_equipment else ():
            for outlet in pdu.outlets:
                uri = f"{rack_pdus.uri_of(pdu)}/Outlets/{outlet.id}"
                state = rack_pdus.outlet_state(context, pdu, outlet)
                name = f"{pdu.id} {outlet.id}"
                self._follow_power(uri, state, f"{POWER}.Outlet", name, "Outlet")

    def _follow_power(
        self, uri: str, state: str | None, message: str, name: str, origin_type: str
    ) -> None:
        """Tell that it powered on or off, once its state has been known before."""
        before = self._powered.get(uri)
        if state not in ("On", "Off") or state == before:
            return
        self._powered[uri] = state
        if before is not None:
            self._tell(
                happening(
                    f"{message}Powered{state}",
                    [name],
                    at_s=self._now_s(),
                    origin=uri,
                    origin_type=origin_type,
                )
            )

    def _of_sensor(self, message_id: str, args: Sequence[object], sensor: str) -> Happening:
        return happening(
            message_id,
            args,
            at_s=self._now_s(),
            origin=f"{_SENSORS}/{sensor}",
            origin_type="Sensor",
        )

    def _now_s(self) -> float:
        return self._context.clock.unix_ns() / 1e9

    def _tell_logged(self, logged: LoggedEvent) -> None:
        """Of one that was cut nobody knows how it went on: to call it restored would be a lie."""
        if not logged.event.is_cut:
            self._tell(of_logged(logged))

    def _tell(self, event: Happening) -> None:
        self._context.eventing.publish(event)


def _by_device(points: Mapping[str, DevicePoint]) -> dict[str, dict[str, PointRef]]:
    """The points of each device by their sensors."""
    found: dict[str, dict[str, PointRef]] = {}
    for sensor, point in points.items():
        found.setdefault(point.ref.device, {})[sensor] = point.ref
    return found


def sensor_qualities(snapshot: Snapshot) -> Iterator[tuple[str, Quality]]:
    """The facility's measured sensors by id; those of one feed share their quality."""
    for feed in snapshot.feeds:
        yield f"Feed_{feed.feed_id}_Power", feed.quality
    for loop in snapshot.loops:
        for name, word in _LOOP_POINTS.items():
            yield f"Loop_{loop.loop_id}_{word}", getattr(loop, name).quality
    for silicon in snapshot.silicon:
        yield f"Silicon_{silicon.sensor_id}", silicon.temperature.quality


def conditions(snapshot: Snapshot) -> Iterator[tuple[Condition, str]]:
    """What asks for attention, each with the sensor that shows it."""
    for feed in snapshot.feeds:
        for condition in feed.conditions:
            yield condition, f"Feed_{feed.feed_id}_Power"
    for loop in snapshot.loops:
        for name, word in _LOOP_POINTS.items():
            for condition in getattr(loop, name).conditions:
                yield condition, f"Loop_{loop.loop_id}_{word}"
    for silicon in snapshot.silicon:
        for condition in silicon.temperature.conditions:
            yield condition, f"Silicon_{silicon.sensor_id}"


def _of_condition(condition: Condition, at_s: float, origin: str) -> Happening:
    """The same words as in the Status of the resource (redfish/confidence.py)."""
    return Happening(
        f"{DCPI}.{camel(condition.kind)}",
        (condition.sensor,),
        condition.text,
        "Warning",
        "Alert",
        at_s,
        origin,
        "Sensor",
    )
