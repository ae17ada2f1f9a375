"""Durations round trip."""

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.struct import Duration


@given(st.integers(0, 10**10 * 1000 - 1))
@settings(max_examples=200, deadline=None)
def test_duration_reads_back_to_the_millisecond(milliseconds):
    length = Duration(milliseconds / 1000)
    assert abs(Duration.parse(str(length)) - length) < 0.0011
