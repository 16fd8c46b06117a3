"""What is configured, once it is checked: facility, feeds, loops, listening and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from bmc_ext.equipment import CoolingUnit, Distribution, Nameplate, PointRef, Site
from bmc_ext.rack_pdu import RackPdu
from bmc_ext.upstream_settings import UpstreamConfig
from drivers.engine import DeviceSpec
from drivers.waveforms.sampled_values import SampledValues

EVENT_THRESHOLD_W = 50e6
"""A change of power of so much within 1 s is a grid-destabilizing power event (DCPI 3)."""


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
    of which this is the nameplate (qp_lpm, qi_lpm, qs_lpm, delta_min_k). `ambient_pressure_bar` is
    that of the air, which a gauge pressure is added to; None is not known.
    """

    id: str
    fluid: str = "water"
    flow_sensor: Literal["supply", "return"] = "supply"
    pair: PairConfig | None = None
    heat_meter: Mapping[str, float] | None = None
    rated_flow_lpm: float = 5000.0
    max_supply_c: float = 40.0
    max_return_c: float = 60.0
    ambient_pressure_bar: float | None = None
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
