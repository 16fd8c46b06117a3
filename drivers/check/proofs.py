"""What a profile says of itself, tried: golden vectors, and identify conditions on a device."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.check.observations import Proof
from drivers.codec import PointCodec
from drivers.profile_types import Golden, Profile
from drivers.register_image import golden_values

# Golden vectors are numbers of manuals: exact but for single precision.
_GOLDEN_RELATIVE = 1e-6
_GOLDEN_ABSOLUTE = 1e-9


def golden_proofs(profile: Profile) -> list[Proof]:
    """Whether each golden vector decodes to what its source says; none beside Modbus.

    Other protocols' vectors are whole answers, which only their own decoders take.
    """
    if profile.protocol != "modbus":
        return []
    return [_golden_proof(profile, vector) for vector in profile.golden]


def _golden_proof(profile: Profile, vector: Golden) -> Proof:
    decoded = golden_values(profile, vector)
    shown = " ".join(f"{register:04X}" for register in vector.registers)
    for name, expected in vector.expect.items():
        own, _ = decoded[name]
        text = f"{name} = {expected} from {shown}"
        if own is None or expected is None:
            if own is not expected:
                return Proof(text, False, f"decodes to {own}")
        elif abs(own - expected) > _GOLDEN_RELATIVE * abs(expected) + _GOLDEN_ABSOLUTE:
            return Proof(text, False, f"decodes to {own:g}")
    return Proof(", ".join(vector.expect), True, vector.origin or "")


def identify_proofs(profile: Profile, first: Mapping[str, float | None]) -> list[Proof]:
    """Whether each identify condition holds on the first values, which are canonical."""
    proofs = []
    for condition in profile.identify:
        value = first.get(condition.point)
        text = f"{condition.point} in {condition.low:g} to {condition.high:g}"
        if value is None:
            proofs.append(Proof(text, False, "no value"))
            continue
        own = PointCodec(profile.points[condition.point]).to_device(value)
        holds = condition.low <= own <= condition.high
        proofs.append(Proof(text, holds, f"reads {own:.6g}"))
    return proofs
