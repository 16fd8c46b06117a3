"""Times as text."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from bmc_ext.clock import iso8601, parse_iso8601

_LAST = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC).timestamp()


@given(
    st.floats(min_value=-1e9, max_value=_LAST)
    | st.builds(lambda second, part: second + part, st.integers(0, 2**31), st.floats(-1e-6, 1e-6))
)
def test_a_time_is_written_as_datetime_writes_it(unix_s: float) -> None:
    """UTC with milliseconds that are cut, also where a float is a hair away from a second."""
    moment = datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert iso8601(unix_s) == text
    assert abs(parse_iso8601(text) - unix_s) < 2e-3
