"""A feed of several sources: its vote, its energy, and what it says of its members."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.config import parse_config
from bmc_ext.domain.power import FeedValues
from bmc_ext.sampling import Flag
from bmc_ext.sampling.channel_calibration import Confidence
from bmc_ext.sampling.sampler import Window
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from bmc_ext.timekeeping import TimeBound
from drivers.reading import CalibrationState, Condition, Quality

MakeWindow = Callable[..., Window]
P = "power.active.total"
WAVE = {"type": "stream", "port": 1}


def config_of(base: Path, *members: dict[str, Any], **feed: Any) -> Config:
    """One feed `f` of these members."""
    devices = {member["meter"] for member in members if "meter" in member}
    return parse_config(
        {
            "facility": {"id": "site", "rated_power_w": 1e6},
            "state_dir": "state",
            "devices": [
                {"id": device, "profile": "any", "target": "tcp://127.0.0.1:1"}
                for device in devices
            ],
            "feeds": [{"id": "f", "rated_power_w": 1e5, "members": list(members), **feed}],
        },
        base=base,
    )


WAVES = tuple({"id": name, "waveform": WAVE} for name in ("a", "b", "c"))
METERS = tuple({"meter": name} for name in ("m1", "m2", "m3"))


class Bench:
    """A collector in lock-step, of which the test sets the clock."""

    def __init__(self, config: Config, engine: Any, state: StateDirectory, clock: Any) -> None:
        self.clock = clock
        self.collector = Collector(config, engine, state, clock, time_bound=TimeBound)

    def window(self, *windows: Callable[[int], Window], wait_s: float = 0.101) -> FeedValues:
        """The feed after one more window in which these came."""
        window_id = self.clock.now_ns // 100_000_000
        self.clock.pass_(wait_s)
        for make in windows:
            self.collector.accept(make(window_id))
        self.clock.pass_(0.2 - wait_s)
        while self.collector.publish_due():
            pass
        snapshot = self.collector.store.latest()
        assert snapshot is not None
        self.clock.pass_(-0.1)
        return snapshot.feeds[0]


@pytest.fixture
def bench(
    tmp_path: Path, engine: Any, state: StateDirectory, clock: Any
) -> Iterator[Callable[..., Bench]]:
    """Builds benches; their collectors are stopped after the test."""
    made: list[Bench] = []

    def build(*members: dict[str, Any], **feed: Any) -> Bench:
        made.append(Bench(config_of(tmp_path, *members, **feed), engine, state, clock))
        return made[-1]

    yield build
    for one in made:
        one.collector.stop()


def put(engine: Any, *values: float | None) -> None:
    """What the meters m1, m2, … read; None is a broken line."""
    for number, value in enumerate(values, 1):
        quality = Quality.OK if value is not None else Quality.COMM_ERROR
        engine.put(f"m{number}", P, value, "W", quality, uncertainty=value and 0.01 * value)


def test_three_meters_read_their_median(bench: Callable[..., Bench], engine: Any) -> None:
    """Value and uncertainty are the median's, and the state names all three."""
    put(engine, 1000.0, 1004.0, 1300.0)
    values = bench(*METERS).window()
    assert (values.feed_id, values.source, values.quality) == ("f", "redundant", Quality.OK)
    assert (values.p_w, values.p_uncertainty_w) == (1004.0, pytest.approx(10.04))
    assert values.redundancy is not None
    assert values.redundancy.disagreeing == ("m3",)
    assert [entry.sensor for entry in values.conditions] == ["m3"]


def test_a_meter_that_dies_is_named_and_the_two_left_are_a_mean(
    bench: Callable[..., Bench], engine: Any
) -> None:
    """Quality stays ok; why it is lost stands in the text."""
    put(engine, 1000.0, 1004.0, 1002.0)
    one = bench(*METERS)
    one.window()
    put(engine, None, 1004.0, 1002.0)
    values = one.window()
    assert (values.p_w, values.quality) == (1003.0, Quality.OK)
    assert [(entry.kind, entry.text) for entry in values.conditions] == [
        ("sensor-lost", "m1 is lost: comm-error")
    ]
    put(engine, None, None, None)
    values = one.window()
    assert (values.p_w, values.quality) == (None, Quality.COMM_ERROR)
    assert values.energy_import_j == pytest.approx(300.7)
    assert values.registers.gap_s == pytest.approx(0.1)
    assert values.registers.invalid_windows == 1


def test_a_configured_limit_is_the_feeds(bench: Callable[..., Bench], engine: Any) -> None:
    """Ten percent apart is agreement where the site says so."""
    put(engine, 1000.0, 1090.0)
    values = bench(*METERS[:2], agree_within={"percent": 10}).window()
    assert values.p_w == 1045.0
    assert values.conditions == ()


def test_energy_is_the_integral_of_the_vote_and_never_jumps(
    bench: Callable[..., Bench], engine: Any, make_window: MakeWindow
) -> None:
    """Members come and go and a biased one is outvoted: each window adds the true 0.1 s · P."""
    one = bench(*WAVES)

    def window(**powers: float) -> FeedValues:
        made = [
            lambda window_id, name=name, p_w=p_w: make_window(name, window_id, p_w)
            for name, p_w in powers.items()
        ]
        return one.window(*made)

    truth_w = 6000.0
    joules = []
    for powers in (
        {"a": 6000.0, "b": 6001.0, "c": 5999.0},
        {"a": 9000.0, "b": 6001.0, "c": 6000.0},
        {"a": 9000.0, "c": 6000.0},
        {"a": 9000.0, "b": 6000.0},
        {"b": 6000.0},
        {"a": 6001.0, "b": 5999.0},
        {"a": 6000.0, "b": 6001.0, "c": 5999.0},
    ):
        joules.append(window(**powers).energy_import_j or 0.0)
    steps = [after - before for before, after in zip([0.0, *joules], joules, strict=False)]
    assert steps == pytest.approx([0.1 * truth_w] * len(steps), rel=2e-4)


def test_a_window_whose_weighted_power_is_unknown_still_counts(
    bench: Callable[..., Bench], make_window: MakeWindow
) -> None:
    """Where the frequency jumps in all members the plain mean holds: energy takes it."""
    one = bench(*WAVES)
    nan = float("nan")
    values = one.window(*(
        lambda window_id, name=name: make_window(name, window_id, 5000.0, p_w=nan)
        for name in ("a", "b", "c")
    ))  # fmt: skip
    assert (values.p_w, values.quality) == (None, Quality.OUT_OF_RANGE)
    values = one.window(*(
        lambda window_id, name=name: make_window(name, window_id, 5000.0)
        for name in ("a", "b", "c")
    ))  # fmt: skip
    assert values.energy_import_j == pytest.approx(1000.0)


def test_energy_goes_on_after_a_restart(
    tmp_path: Path, engine: Any, clock: Any, make_window: MakeWindow
) -> None:
    """The total is the feed's own, kept in ring and history under its id."""
    for expected_j in (500.0, 1000.0):
        state = StateDirectory(tmp_path / "own")
        one = Bench(config_of(tmp_path, *WAVES), engine, state, clock)
        values = one.window(
            *(
                lambda window_id, name=name: make_window(name, window_id, 5000.0)
                for name in ("a", "b", "c")
            )
        )
        assert values.energy_import_j == pytest.approx(expected_j)
        one.collector.stop()
        state.close()


def test_a_member_waveform_keeps_no_ring_of_its_own(
    bench: Callable[..., Bench], state: StateDirectory
) -> None:
    """Only what is shown is kept."""
    bench(*WAVES)
    assert [path.name for path in (state.path / "ring").iterdir()] == ["f.ring"]


def test_certificates_and_warnings_of_all_members_are_the_feeds(
    bench: Callable[..., Bench], make_window: MakeWindow
) -> None:
    """Overdue in a member that was not chosen is a warning of the feed too."""
    one = bench(*WAVES)
    overdue = CalibrationState("c/IA", "C-9", date(2024, 1, 1), date(2025, 1, 1), True)
    told = Condition("calibration-overdue", "c/IA", "late")

    def window(name: str, p_w: float) -> Callable[[int], Window]:
        def make(window_id: int) -> Window:
            made = make_window(name, window_id, p_w)
            own = Confidence(7.0, (told,), (overdue,)) if name == "c" else Confidence(5.0)
            return made._replace(confidence=own)

        return make

    values = one.window(window("a", 1000.0), window("b", 1001.0), window("c", 1002.0))
    assert values.p_uncertainty_w == 5.0
    assert values.conditions == (told,)
    assert values.calibrations == (overdue,)


def test_two_of_a_kind_share_their_powers(bench: Callable[..., Bench], engine: Any) -> None:
    """P, Q and S are means, and the power factor fits them."""
    for number, p_w in ((1, 800.0), (2, 804.0)):
        put_all = (("reactive", 0.75 * p_w, "var"), ("apparent", 1.25 * p_w, "VA"))
        engine.put(f"m{number}", P, p_w, "W")
        for name, value, unit in put_all:
            engine.put(f"m{number}", f"power.{name}.total", value, unit, uncertainty=1.0)
    values = bench(*METERS[:2]).window()
    assert (values.p_w, values.q_var, values.s_va) == (802.0, 601.5, 1002.5)
    assert values.pf == pytest.approx(0.8)
    assert values.q_uncertainty_var is None  # of one member's reading, not of the mean


def test_a_clipped_window_does_not_win(
    bench: Callable[..., Bench], make_window: MakeWindow
) -> None:
    """Its magnitudes are too low: of two that differ the other one is shown."""
    values = bench(*WAVES[:2]).window(
        lambda window_id: make_window("a", window_id, 900.0, flags=Flag.CLIPPED),
        lambda window_id: make_window("b", window_id, 1000.0),
    )
    assert values.p_w == 1000.0
    assert "the other is doubtful" in values.conditions[0].text


@pytest.mark.parametrize(
    ("members", "named"),
    [
        (METERS[:1], "feeds/0/members"),
        (({"meter": "m1"}, {"meter": "m1"}), "feeds/f/members: meter 'm1' is given twice"),
        (({"meter": "m1"}, {"id": "x", "meter": "m1"}), "meter 'm1' is given twice"),
        (({"id": "m1", "meter": "m2"}, {"meter": "m1"}), "feeds/f/members: id 'm1' is given twice"),
        (({"id": "f", "waveform": WAVE}, METERS[0]), "id 'f' is given twice"),
        (({"waveform": WAVE}, METERS[0]), "feeds/0/members/0"),
    ],
)
def test_members_are_checked(
    tmp_path: Path, members: tuple[dict[str, Any], ...], named: str
) -> None:
    """One is not redundant, nor is one under two names, and nobody has another's id."""
    with pytest.raises(Exception, match=named):
        config_of(tmp_path, *members)
