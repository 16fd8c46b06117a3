"""Batching: few reads, none that the device cannot answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.profile import load_profile
from drivers.profile_types import Point, Transport
from drivers.read_plan import ReadBlock, plan_reads


def _points(places: list[tuple[int, int, str]]) -> list[Point]:
    return [
        Point(f"p{k}", address, fc, kind, "ABCD", "V", "fast")
        for k, (address, fc, kind) in enumerate(places)
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from([3, 4]), st.sampled_from(["u16", "f32", "u64"])
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda place: place[:2],
    ),
    st.integers(4, 125),
    st.integers(0, 20),
    st.booleans(),
)
def test_a_plan_covers_its_points_within_the_limits(
    places: list[tuple[int, int, str]], max_regs: int, max_gap: int, readable: bool
) -> None:
    """Every point is read whole, no read is too long, and no gap is read that must not be."""
    points = _points(places)
    transport = Transport(("tcp",), max_regs=max_regs, max_gap=max_gap, gap_readable=readable)
    plan = plan_reads(points, transport)
    image = [
        (block.fc, address)
        for block in plan.blocks
        for address in range(block.address, block.address + block.count)
    ]
    wanted = {
        (point.fc, address)
        for point in points
        for address in range(point.address, point.address + point.registers)
    }
    for point in points:
        start = plan.positions[point.name]
        assert image[start] == (point.fc, point.address)
        assert image[start + point.registers - 1] == (point.fc, point.address + point.registers - 1)
    assert all(block.count <= max_regs for block in plan.blocks)
    if not readable:
        assert set(image) <= wanted
    assert plan.registers == len(image)


def test_the_sdm630_is_read_at_once() -> None:
    """The fast group of the SDM630 is one read of 72 registers: its gaps are readable."""
    profile = load_profile("eastron.sdm630")
    fast = [point for point in profile.points.values() if point.group == "fast"]
    assert plan_reads(fast, profile.transport).blocks == (ReadBlock(4, 0, 72),)


def test_a_device_whose_gaps_are_not_readable_is_read_in_parts() -> None:
    """The TUF-2000M's slow registers 71 and 91-93 take two reads."""
    profile = load_profile("oem.tuf2000m")
    slow = [point for point in profile.points.values() if point.group == "slow"]
    assert plan_reads(slow, profile.transport).blocks == (ReadBlock(3, 71, 1), ReadBlock(3, 91, 3))
