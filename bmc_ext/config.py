"""The service's configuration: one YAML file, checked against schemas/config/config.schema.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from bmc_ext.equipment import (
    CoolingUnit,
    Distribution,
    Nameplate,
    PointRef,
    Site,
    cooling_unit,
    distribution,
    point_ref,
    references,
)
from bmc_ext.errors import ConfigurationError
from bmc_ext.rack_pdu import RackPdu, check_rack_pdus, rack_pdu
from bmc_ext.upstream_settings import UpstreamConfig, upstream_config
from bmc_ext.yaml_file import explained, read_yaml
from drivers.engine import DeviceSpec
from drivers.waveforms.sampled_values import SampledValues
from schemas import validator

EVENT_THRESHOLD_W = 50e6
"""A change of power of so much within 1 s is a grid-destabilizing power event (DCPI 3)."""


__all__ = [
    "EVENT_THRESHOLD_W", "AgreementConfig", "Config", "FacilityConfig", "FeedConfig",
    "ListenConfig", "LoopConfig", "PointRef", "SiliconConfig", "SourceConfig", "UpstreamConfig",
    "WaveformConfig", "equipment_points", "load_config", "parse_config",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class WaveformConfig:
    """A source of samples.

    - `stream`: host, port.
    - `recording` (`comtrade` is its earlier name): path, looped by default; `rate_hz`, `delimiter`
      and `decimal` tell what a file in CSV does not.
    - `iio`: path of the device in sysfs, `data` its node, `channels`, `gains`, `timestamp`.
    - `frames`: path of a FIFO or device, `format` and `order` of its samples, `gains`, `rate_hz`.
    - `sampled_values`: interface, and which stream on it.
    """

    type: Literal["stream", "recording", "comtrade", "iio", "frames", "sampled_values"]
    host: str = "127.0.0.1"
    port: int = 0
    path: Path = Path()
    loop: bool = True
    channels: Mapping[str, str] | None = None
    rate_hz: float | None = None
    delimiter: str | None = None
    decimal: str | None = None
    data: Path | None = None
    gains: Mapping[str, float] | None = None
    timestamp: bool | None = None
    format: str = ""
    order: tuple[str, ...] = ()
    interface: str = ""
    sampled_values: SampledValues | None = None


@dataclass(frozen=True, slots=True)
class AgreementConfig:
    """How far redundant sensors may differ: percent of the larger, plus absolute in their unit."""

    percent: float = 0.0
    abs: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """What measures a feed: a waveform source or a meter, never both."""

    id: str
    waveform: WaveformConfig | None = None
    meter: str | None = None


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """One electrical feed, measured by a waveform source or a meter, or by several `members`.

    `event_threshold_w` is the change of power within 1 s that is an event. With
    `declared_voltage_v`, the declared rms voltage of a channel, dips and swells are events too.
    """

    id: str
    name: str
    rated_power_w: float
    nominal_hz: float | None = None
    waveform: WaveformConfig | None = None
    meter: str | None = None
    members: tuple[SourceConfig, ...] = ()
    agree_within: AgreementConfig | None = None
    event_threshold_w: float = EVENT_THRESHOLD_W
    declared_voltage_v: float | None = None
    equipment: Distribution = field(default_factory=Distribution)

    @property
    def sources(self) -> tuple[SourceConfig, ...]:
        """Its members, or its one source, whose id is the feed's."""
        return self.members or (SourceConfig(self.id, self.waveform, self.meter),)


@dataclass(frozen=True, slots=True)
class PairConfig:
    """Certificate of a matched pair: half width (k = 2) of the temperature difference in K."""

    certificate: str
    calibrated_on: date
    uncertainty_k: float


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """One coolant loop; an absent point reads as absent. Ratings are nameplate values.

    A quantity of several sensors has the first one as its point and all of them in `redundant`, by
    its field. Supply and return of a `pair` are matched, and those of a `heat_meter` of EN 1434,
    of which this is the nameplate (qp_lpm, qi_lpm, qs_lpm, delta_min_k).
    """

    id: str
    fluid: str = "water"
    flow_sensor: Literal["supply", "return"] = "supply"
    pair: PairConfig | None = None
    heat_meter: Mapping[str, float] | None = None
    rated_flow_lpm: float = 5000.0
    max_supply_c: float = 40.0
    max_return_c: float = 60.0
    supply: PointRef | None = None
    return_: PointRef | None = None
    flow: PointRef | None = None
    pressure: PointRef | None = None
    pump_speed: PointRef | None = None
    pump_setpoint: PointRef | None = None
    redundant: Mapping[str, tuple[PointRef, ...]] = field(default_factory=dict)
    agree_within: Mapping[str, AgreementConfig] = field(default_factory=dict)
    cooling_unit: CoolingUnit = field(default_factory=CoolingUnit)

    def sensors(self, name: str) -> tuple[PointRef, ...]:
        """All sensors of the quantity of that field, in the order of configuration."""
        only: PointRef | None = getattr(self, name)
        return self.redundant.get(name, () if only is None else (only,))


@dataclass(frozen=True, slots=True)
class SiliconConfig:
    """One junction temperature."""

    id: str
    temperature: PointRef


@dataclass(frozen=True, slots=True)
class FacilityConfig:
    """Who this is and what it may draw: nameplate and grid contract in W.

    `event_threshold_w` is the change of all waveform feeds' power within 1 s that is an event.
    """

    id: str
    name: str
    rated_power_w: float
    contract_limit_w: float
    cooling_overhead: float = 0.06
    event_threshold_w: float = EVENT_THRESHOLD_W
    nameplate: Nameplate = field(default_factory=Nameplate)
    site: Site = field(default_factory=Site)


@dataclass(frozen=True, slots=True)
class AggregatedConfig:
    """Where an aggregator that says not who asks may read."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where the service listens; loopback unless told otherwise. Limits in bytes and seconds.

    `lockout_threshold` wrong passwords lock an account, none for 0, until AccountService is told
    otherwise. Searches (SSDP) are answered on the interfaces `discovery`, and the service is
    announced (mDNS) on the interfaces `mdns`. At `aggregated`, where
    given, the equipment is shown to everyone.
    """

    host: str = "127.0.0.1"
    port: int = 8443
    certificate: Path | None = None
    private_key: Path | None = None
    max_body_bytes: int = 1_048_576
    session_timeout_s: int = 1800
    lockout_threshold: int = 10
    discovery: tuple[str, ...] = ()
    mdns: tuple[str, ...] = ()
    aggregated: AggregatedConfig | None = None


@dataclass(frozen=True, slots=True)
class EventsConfig:
    """Where events may be sent: https to any address that is not this machine's own.

    `ca_file` holds the authorities for VerifyCertificate, those of the system when None.
    """

    allow_http: bool = False
    allow_loopback: bool = False
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. `control` is `observe` (plan, never act) or `act` (design, decision 11).

    Without `power_equipment` that tree is not served: some clients that find it read nothing else.
    With `legacy` what the standard has deprecated is served beside what took its place.
    `thresholds` are limits by sensor id, in the sensor's own units, by the names of Redfish.
    """

    facility: FacilityConfig
    state_dir: Path
    listen: ListenConfig = ListenConfig()
    control: Literal["observe", "act"] = "observe"
    devices: tuple[DeviceSpec, ...] = ()
    feeds: tuple[FeedConfig, ...] = ()
    loops: tuple[LoopConfig, ...] = ()
    silicon: tuple[SiliconConfig, ...] = ()
    profile_dirs: tuple[Path, ...] = field(default=())
    calibration_dir: Path | None = None
    rack_pdus: tuple[RackPdu, ...] = ()
    power_equipment: bool = True
    legacy: bool = True
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    events: EventsConfig = EventsConfig()
    upstream: UpstreamConfig | None = None


def load_config(path: Path) -> Config:
    """Read and check a configuration file; relative paths in it are relative to the file.

    Raises ConfigurationError naming the file, the place and the reason.
    """
    document = read_yaml(path)
    if document is None:
        raise ConfigurationError(
            f"{path}: holds nothing; `dcpi-bmc serve --example` prints one to start from"
        )
    return parse_config(document, base=path.parent, origin=str(path))


def _not_finite(node: object, place: str = "") -> Iterator[str]:
    """Where YAML's .nan and .inf stand: no limit of the schema refuses them."""
    if isinstance(node, float) and not math.isfinite(node):
        yield place
    items = node.items() if isinstance(node, dict) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        yield from _not_finite(value, f"{place}/{key}" if place else str(key))


def parse_config(document: object, *, base: Path, origin: str = "configuration") -> Config:
    """Build a Config from a parsed document; raises ConfigurationError naming the place."""
    for error in sorted(
        validator("config/config").iter_errors(document), key=lambda e: list(e.path)
    ):
        place, text = explained(error)
        raise ConfigurationError(f"{origin}: {place}: {text}")
    assert isinstance(document, dict)
    for place in _not_finite(document):
        raise ConfigurationError(f"{origin}: {place}: not a finite number")
    config = _build(document, base, origin)
    _check_references(config, origin)
    return config


def _build(document: dict[str, Any], base: Path, origin: str) -> Config:
    facility = dict(document["facility"])
    facility.setdefault("name", facility["id"])
    facility.setdefault("contract_limit_w", facility["rated_power_w"])
    facility["nameplate"] = Nameplate(**facility.get("nameplate", {}))
    facility["site"] = Site(**facility.get("site", {}))
    listen = dict(document.get("listen", {}))
    for key in ("certificate", "private_key"):
        if key in listen:
            listen[key] = base / listen[key]
    for key in ("discovery", "mdns"):
        listen[key] = tuple(listen.get(key, ()))
    if "aggregated" in listen:
        listen["aggregated"] = AggregatedConfig(**listen["aggregated"])
    return Config(
        facility=FacilityConfig(**facility),
        state_dir=base / Path(document["state_dir"]).expanduser(),
        listen=ListenConfig(**listen),
        control=document.get("control", "observe"),
        devices=tuple(DeviceSpec(**device) for device in document.get("devices", [])),
        feeds=tuple(_feed(feed, base) for feed in document.get("feeds", [])),
        loops=tuple(_loop(loop) for loop in document.get("loops", [])),
        silicon=tuple(
            SiliconConfig(entry["id"], point_ref(entry["temperature"]))
            for entry in document.get("silicon", [])
        ),
        profile_dirs=tuple(base / folder for folder in document.get("profile_dirs", [])),
        calibration_dir=base / document["calibration_dir"]
        if "calibration_dir" in document
        else None,
        rack_pdus=tuple(rack_pdu(entry) for entry in document.get("rack_pdus", [])),
        power_equipment=document.get("power_equipment", True),
        legacy=document.get("legacy", True),
        thresholds=document.get("thresholds", {}),
        events=_events(document.get("events", {}), base),
        upstream=_upstream(document, base, origin),
    )


def _upstream(document: dict[str, Any], base: Path, origin: str) -> UpstreamConfig | None:
    if "upstream" not in document:
        return None
    return upstream_config(document["upstream"], base, origin)


def _events(document: dict[str, Any], base: Path) -> EventsConfig:
    paths = {key: base / value for key, value in document.items() if key == "ca_file"}
    return EventsConfig(**{**document, **paths})


def _feed(document: dict[str, Any], base: Path) -> FeedConfig:
    feed = {"name": document["id"], **document}
    if "waveform" in feed:
        feed["waveform"] = _waveform(feed["waveform"], base)
    if "agree_within" in feed:
        feed["agree_within"] = AgreementConfig(**feed["agree_within"])
    feed["equipment"] = distribution(document.get("equipment", {}))
    feed["members"] = tuple(_member(member, base) for member in document.get("members", []))
    return FeedConfig(**feed)


def _member(document: dict[str, Any], base: Path) -> SourceConfig:
    """A meter's id is its device's unless it has one of its own."""
    if "waveform" in document:
        return SourceConfig(document["id"], waveform=_waveform(document["waveform"], base))
    return SourceConfig(document.get("id", document["meter"]), meter=document["meter"])


def _waveform(document: dict[str, Any], base: Path) -> WaveformConfig:
    waveform = dict(document)
    for key in ("path", "data"):
        if key in waveform:
            waveform[key] = base / waveform[key]
    if "order" in waveform:
        waveform["order"] = tuple(waveform["order"])
    if waveform["type"] == "sampled_values":
        waveform = _sampled_values(waveform)
    return WaveformConfig(**waveform)


def _sampled_values(waveform: dict[str, Any]) -> dict[str, Any]:
    """What is about the interface, and apart what is about the stream on it."""
    choice = {key: value for key, value in waveform.items() if key not in ("type", "interface")}
    choice["accept"] = tuple(choice.get("accept", ()))
    if "channels" in choice:
        choice["channels"] = {key: str(name) for key, name in choice["channels"].items()}
    return {
        "type": waveform["type"],
        "interface": waveform["interface"],
        "sampled_values": SampledValues(**choice),
    }


_LOOP_POINTS = ("supply", "return", "flow", "pressure", "pump_speed", "pump_setpoint")


def _loop(document: dict[str, Any]) -> LoopConfig:
    values = {key: value for key, value in document.items() if key not in _LOOP_POINTS}
    redundant: dict[str, tuple[PointRef, ...]] = {}
    for key in _LOOP_POINTS:
        if key not in document:
            continue
        name = _field_of(key)
        texts = document[key] if isinstance(document[key], list) else [document[key]]
        refs = tuple(point_ref(text) for text in texts)
        values[name] = refs[0]
        if len(refs) > 1:
            redundant[name] = refs
    values["redundant"] = redundant
    values["cooling_unit"] = cooling_unit(document.get("cooling_unit", {}))
    if "pair" in document:
        day = date.fromisoformat(document["pair"]["calibrated_on"])
        values["pair"] = PairConfig(**{**document["pair"], "calibrated_on": day})
    values["agree_within"] = {
        _field_of(key): AgreementConfig(**limit)
        for key, limit in document.get("agree_within", {}).items()
    }
    return LoopConfig(**values)


def _field_of(key: str) -> str:
    """The configuration's word as a field of LoopConfig."""
    return "return_" if key == "return" else key


def _check_references(config: Config, origin: str) -> None:
    """Every identity is unique and every reference names a configured device."""
    known = {device.id for device in config.devices}
    for kind, entries in (
        ("devices", config.devices),
        ("feeds", config.feeds),
        ("loops", config.loops),
        ("silicon", config.silicon),
    ):
        seen: set[str] = set()
        for entry in entries:
            if entry.id in seen:
                raise ConfigurationError(f"{origin}: {kind}: id {entry.id!r} is given twice")
            seen.add(entry.id)
    _check_sources(config, known, origin)
    # A PDU is a chassis too, and DCPI is that of the facility.
    check_rack_pdus(config.rack_pdus, {"DCPI", *(feed.id for feed in config.feeds)}, origin)
    for owner, point in _references(config):
        if point.device not in known:
            raise ConfigurationError(f"{origin}: {owner}: no device {point.device!r}")


def _check_sources(config: Config, known: set[str], origin: str) -> None:
    """Meters are configured devices; a member's id is nobody else's, nor is its meter."""
    seen = {feed.id for feed in config.feeds}
    for feed in config.feeds:
        meters = [source.meter for source in feed.sources if source.meter is not None]
        for meter in meters:
            if meters.count(meter) > 1:
                raise ConfigurationError(
                    f"{origin}: feeds/{feed.id}/members: meter {meter!r} is given twice"
                )
        for source in feed.sources:
            if source.meter is not None and source.meter not in known:
                raise ConfigurationError(f"{origin}: feeds/{feed.id}: no device {source.meter!r}")
            if feed.members and source.id in seen:
                raise ConfigurationError(
                    f"{origin}: feeds/{feed.id}/members: id {source.id!r} is given twice"
                )
            seen.add(source.id)


def equipment_points(config: Config) -> dict[PointRef, str]:
    """The points that cooling units and distribution name, each with the place that does."""
    places: list[tuple[str, object]] = [(f"loops/{e.id}", e.cooling_unit) for e in config.loops]
    places += [(f"feeds/{feed.id}", feed.equipment) for feed in config.feeds]
    places += [(f"rack_pdus/{pdu.id}", pdu) for pdu in config.rack_pdus]
    return {point: place for place, owner in places for point in references(owner)}


def _references(config: Config) -> list[tuple[str, PointRef]]:
    found = [(f"silicon/{entry.id}", entry.temperature) for entry in config.silicon]
    for loop in config.loops:
        for key in _LOOP_POINTS:
            found += [(f"loops/{loop.id}", point) for point in loop.sensors(_field_of(key))]
    return [*found, *((place, point) for point, place in equipment_points(config).items())]
