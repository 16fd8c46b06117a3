"""Whole points in a device's registers: read with what they are linked to, set together.

Simulated devices and golden vectors hold registers, not points: here one becomes the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers.codec import QUALITIES, BlockCodec, PointCodec, registers_to_bytes
from drivers.profile_types import Golden, Point, Profile
from drivers.reading import Quality
from drivers.register_types import encode_pattern


def decode_image(
    codecs: Mapping[str, PointCodec], name: str, read: Callable[[Point], bytes]
) -> tuple[float | None, Quality]:
    """A point's canonical value and quality from registers that `read` gives, links and all."""
    members = [codecs[name], *(codecs[link] for link in codecs[name].point.links)]
    parts = [read(member.point) for member in members]
    starts = [sum(len(part) for part in parts[:k]) // 2 for k in range(len(parts))]
    positions = {member.point.name: start for member, start in zip(members, starts, strict=True)}
    values, qualities = BlockCodec(members, positions).decode(b"".join(parts))
    quality = QUALITIES[int(qualities[0])]
    return (float(values[0]) if quality is Quality.OK else None), quality


def with_other_bits(point: Point, new: bytes, old: bytes) -> bytes:
    """A masked field's registers with what `old` holds outside the mask; `new` without a mask."""
    if point.mask is None:
        return new
    masks = encode_pattern(point.mask, point.type, point.order)
    return bytes(o & ~m | n & m for n, o, m in zip(new, old, masks, strict=True))


def golden_values(profile: Profile, vector: Golden) -> dict[str, tuple[float | None, Quality]]:
    """What this codec makes of a golden vector: own value and quality of each expected point."""
    codecs = {name: PointCodec(point) for name, point in profile.points.items()}

    def read(point: Point) -> bytes:
        start = point.address - vector.address
        return registers_to_bytes(vector.registers[start : start + point.registers])

    found = {}
    for name in vector.expect:
        value, quality = decode_image(codecs, name, read)
        found[name] = (None if value is None else codecs[name].to_device(value), quality)
    return found


def encode_image(
    codecs: Mapping[str, PointCodec],
    values: Mapping[str, float | None],
    current: Callable[[str], float | None],
) -> dict[str, bytes]:
    """The registers of several points that are set at once; canonical values, None is absent.

    `current` gives the canonical value of a linked point that is not among them. A point with a
    `fraction` sets that one, too.
    """

    def own(name: str) -> float | None:
        value = values[name] if name in values else current(name)
        return None if value is None else codecs[name].to_device(value)

    images: dict[str, bytes] = {}
    # Integers come last: their fractions are what they leave over.
    for name, value in sorted(values.items(), key=lambda item: bool(codecs[item[0]].point.links)):
        codec = codecs[name]
        if value is None:
            images[name] = codec.encode_absent()
            continue
        others = {link: known for link in codec.point.links if (known := own(link)) is not None}
        fraction = codec.point.fraction
        if fraction is not None:
            _, rest = codec.split(value, others)
            images[fraction] = codecs[fraction].encode(codecs[fraction].to_canonical(rest))
            others[fraction] = rest
        images[name] = codec.encode(value, others)
    return images
