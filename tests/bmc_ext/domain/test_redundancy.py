"""Votes of redundant sensors: who is shown, who is lost, who disagrees."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from bmc_ext.domain.redundancy import DEFAULT_LIMITS, Limit, Member, Vote, vote
from drivers.reading import Quality

OK = Quality.OK
ONE_PERCENT = Limit(percent=1.0)


def members(*values: float | None, uncertainties: tuple[float | None, ...] = ()) -> list[Member]:
    """Members a, b, c, … with these values; None is lost."""
    own = uncertainties or (None,) * len(values)
    return [
        Member(name, value, OK if value is not None else Quality.COMM_ERROR, uncertainty)
        for name, value, uncertainty in zip("abcdefgh", values, own, strict=False)
    ]


def kinds(result: Vote) -> list[tuple[str, str]]:
    """Kind and sensor of each condition."""
    return [(entry.kind, entry.sensor) for entry in result.conditions]


def test_three_read_their_median_and_name_the_one_that_is_off() -> None:
    """One biased sensor does not move the value beyond its neighbours, and is named."""
    result = vote(members(100.0, 100.2, 130.0), ONE_PERCENT)
    assert (result.value, result.quality) == (100.2, OK)
    assert result.redundancy.method == "median"
    assert result.redundancy.used == ("b",)
    assert result.redundancy.disagreeing == ("c",)
    assert kinds(result) == [("sensor-disagrees", "c")]
    assert result.conditions == vote(members(100.0, 100.1, 131.0), ONE_PERCENT).conditions


def test_the_median_has_the_uncertainty_of_its_sensor() -> None:
    """It is the chosen one's, and half the root sum square where two are chosen."""
    three = vote(members(1.9, 2.0, 3.0, uncertainties=(0.1, 0.2, 0.3)), Limit(absolute=5))
    assert three.uncertainty == 0.2
    four = vote(members(2.3, 2.4, 2.6, 4.0, uncertainties=(0.1, 0.3, 0.4, 0.1)), Limit(absolute=5))
    assert four.value == 2.5
    assert four.uncertainty == pytest.approx(0.25)
    assert vote(members(1.0, 2.0, 3.0), Limit(absolute=5)).uncertainty is None


@pytest.mark.parametrize(
    ("values", "uncertainty"),
    [
        ((100.0, 100.9), 0.45),
        ((100.0, 100.5, 100.9), 0.4),
        ((100.0, 100.5, 130.0), 0.5),
        ((100.0, 100.0, 130.0), 0.1),
        ((100.0, 100.2, 100.6, 130.0), 0.3),
    ],
)
def test_what_most_sensors_contradict_is_not_known_so_well(
    values: tuple[float, ...], uncertainty: float
) -> None:
    """Certificates of 0.1 do not outweigh readings that are further apart within the limit."""
    result = vote(members(*values, uncertainties=(0.1,) * len(values)), ONE_PERCENT)
    assert result.uncertainty == pytest.approx(uncertainty)


def test_a_wide_spread_does_not_excuse_itself() -> None:
    """Who is far from the median disagrees however far apart all of them are."""
    limit = Limit(percent=1.0, at_least_own=True)
    result = vote(members(100.0, 200.0, 300.0, uncertainties=(0.1, 0.1, 0.1)), limit)
    assert result.redundancy.disagreeing == ("a", "c")
    assert result.uncertainty == 100.0


def test_two_within_the_limit_read_their_mean() -> None:
    """The mean of two independent sensors is surer than each."""
    result = vote(members(100.0, 100.4, uncertainties=(0.3, 0.4)), ONE_PERCENT)
    assert result.value == pytest.approx(100.2)
    assert result.uncertainty == pytest.approx(0.25)
    assert result.redundancy.method == "mean"
    assert result.conditions == ()


def test_two_beyond_the_limit_show_the_surer_one_and_say_that_nobody_knows() -> None:
    """The smaller uncertainty wins, and grows until it covers the other sensor's value."""
    result = vote(members(100.0, 110.0, uncertainties=(2.0, 0.5)), ONE_PERCENT)
    assert result.value == 110.0
    assert result.uncertainty == 10.0
    assert result.redundancy.method == "preferred"
    assert kinds(result) == [("sensor-disagrees", "a")]
    assert "which is right is unknown" in result.conditions[0].text
    assert "by its uncertainty" in result.conditions[0].text


def test_without_uncertainties_the_first_configured_is_shown() -> None:
    """Nothing speaks for either: the order decides, and the uncertainty stays unknown."""
    result = vote(members(100.0, 110.0), ONE_PERCENT)
    assert (result.value, result.uncertainty) == (100.0, None)
    assert "as the first one configured" in result.conditions[0].text


def test_a_known_uncertainty_beats_an_unknown_one() -> None:
    """A sensor that nothing is known of does not win."""
    result = vote(members(100.0, 110.0, uncertainties=(None, 5.0)), ONE_PERCENT)
    assert result.value == 110.0


def test_a_doubtful_value_does_not_win_over_one_that_is_not() -> None:
    """However small the uncertainty that it claims; where both are doubtful it decides again."""
    group = [Member("a", 100.0, OK, 0.1, is_doubtful=True), Member("b", 110.0, OK, 3.0)]
    result = vote(group, ONE_PERCENT)
    assert (result.value, result.uncertainty) == (110.0, 10.0)
    assert "the other is doubtful" in result.conditions[0].text
    both = [member._replace(is_doubtful=True) for member in group]
    assert vote(both, ONE_PERCENT).value == 100.0


@pytest.mark.parametrize("quality", [quality for quality in Quality if quality is not OK])
def test_a_lost_sensor_is_named_with_its_reason(quality: Quality) -> None:
    """Whatever it is lost for, the others are used and the text says why."""
    group = [Member("a", None, quality), *members(1.0, 1.0)[1:], Member("c", 1.0, OK)]
    result = vote(group, ONE_PERCENT)
    assert result.value == 1.0
    assert result.redundancy.lost == ("a",)
    assert kinds(result) == [("sensor-lost", "a")]
    assert quality in result.conditions[0].text


def test_a_value_without_good_quality_does_not_vote() -> None:
    """Best quality wins: a number that comes with a doubt is not used."""
    group = [Member("a", 50.0, Quality.STALE), Member("b", 100.0, OK)]
    result = vote(group, ONE_PERCENT)
    assert (result.value, result.redundancy.used) == (100.0, ("b",))


def test_without_any_sensor_the_value_is_unknown_with_the_best_quality_left() -> None:
    """Stale is better than a broken line; nothing is made up."""
    group = [Member("a", None, Quality.COMM_ERROR), Member("b", None, Quality.STALE)]
    result = vote(group, ONE_PERCENT)
    assert (result.value, result.quality, result.uncertainty) == (None, Quality.STALE, None)
    assert result.redundancy.method == "none"
    assert {sensor for _, sensor in kinds(result)} == {"a", "b"}


def test_a_biased_sensor_does_not_take_over_when_a_good_one_dies() -> None:
    """Outvoted once, it stays a suspect in the pair that is left, whatever it claims of itself."""
    sure = (0.5, 0.5, 0.01)
    first = vote(members(100.0, 100.1, 130.0, uncertainties=sure), ONE_PERCENT)
    pair = vote(
        members(100.0, None, 130.0, uncertainties=sure),
        ONE_PERCENT,
        suspects=first.redundancy.suspects,
    )
    assert pair.value == 100.0
    assert kinds(pair) == [("sensor-lost", "b"), ("sensor-disagrees", "c")]
    assert "was not outvoted before" in pair.conditions[1].text
    alone = vote(
        members(None, None, 130.0, uncertainties=sure),
        ONE_PERCENT,
        suspects=pair.redundancy.suspects,
    )
    assert (alone.value, alone.uncertainty) == (130.0, None)
    assert ("sensor-disagrees", "c") in kinds(alone)


def test_a_suspect_is_cleared_when_it_agrees_and_remembered_while_it_is_lost() -> None:
    """Silence clears nobody; agreement does."""
    off = vote(members(100.0, 100.0, 130.0), ONE_PERCENT).redundancy.suspects
    lost = vote(members(100.0, 100.0, None), ONE_PERCENT, suspects=off).redundancy.suspects
    assert lost == {"c"}
    back = vote(members(100.0, 100.0, 100.1), ONE_PERCENT, suspects=lost).redundancy.suspects
    assert back == frozenset()


def test_the_limit_is_percent_of_the_larger_plus_absolute() -> None:
    """Exactly at the limit two agree; negative values count by their magnitude."""
    limit = Limit(percent=1.0, absolute=0.5)
    assert vote(members(-100.0, -98.5), limit).redundancy.method == "mean"
    assert vote(members(-100.0, -98.4), limit).redundancy.method == "preferred"
    assert vote(members(0.0, 0.4), limit).redundancy.method == "mean"


def test_default_limits_are_never_below_what_the_sensors_claim() -> None:
    """Two uncertain sensors may differ by both their uncertainties; a configured limit is exact."""
    far = members(100.0, 104.0, uncertainties=(2.0, 2.5))
    assert vote(far, DEFAULT_LIMITS["W"]).redundancy.method == "mean"
    assert vote(far, ONE_PERCENT).redundancy.method == "preferred"
    assert vote(members(20.0, 20.2), DEFAULT_LIMITS["Cel"]).redundancy.method == "mean"
    assert vote(members(20.0, 20.21), DEFAULT_LIMITS["Cel"]).redundancy.method == "preferred"


def test_any_group_reads_what_the_rules_say_of_its_usable_members() -> None:
    """Random groups against Python's own median; order never matters to a median."""
    rng = random.Random(20261125)
    for _ in range(500):
        values = [rng.choice([None, rng.uniform(-100, 100)]) for _ in range(rng.randint(3, 6))]
        known = [value for value in values if value is not None]
        result = vote(members(*values), Limit(absolute=rng.uniform(0, 50)))
        assert set(result.redundancy.lost) == {
            name for name, value in zip("abcdef", values, strict=False) if value is None
        }
        if len(known) >= 3:
            assert result.value == pytest.approx(statistics.median(known))
        if known:
            assert min(known) <= (result.value or 0.0) <= max(known)


def test_the_order_of_three_changes_nothing() -> None:
    """Every order of the members gives the same value and names the same ones."""
    group = members(99.0, 100.0, 140.0, uncertainties=(1.0, 2.0, 3.0))
    found = {
        (vote(order, ONE_PERCENT).value, vote(order, ONE_PERCENT).redundancy.suspects)
        for order in itertools.permutations(group)
    }
    assert found == {(100.0, frozenset({"c"}))}
