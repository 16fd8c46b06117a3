"""Reads the configuration: one YAML file, checked against schemas/config/config.schema.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from bmc_ext.equipment import (
    Nameplate,
    PointRef,
    Site,
    cooling_unit,
    distribution,
    point_ref,
    references,
)
from bmc_ext.errors import ConfigurationError
from bmc_ext.rack_pdu import check_rack_pdus, rack_pdu
from bmc_ext.settings import (
    AggregatedConfig,
    AgreementConfig,
    Config,
    EventsConfig,
    FacilityConfig,
    FeedConfig,
    ListenConfig,
    LoopConfig,
    PairConfig,
    SiliconConfig,
    SourceConfig,
    WaveformConfig,
)
from bmc_ext.upstream_settings import UpstreamConfig, upstream_config
from bmc_ext.yaml_file import explained, read_yaml
from drivers.engine import DeviceSpec
from drivers.waveforms.sampled_values import SampledValues
from schemas import validator


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
