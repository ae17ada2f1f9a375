"""Times on the wire: protobuf's time stamps and durations, read without surprises."""

from __future__ import annotations

import datetime as dt

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from teleport.base.errors import BadParameter


def seconds_of(duration: Duration) -> float:
    """Return a length of time in seconds."""
    return float(duration.seconds) + duration.nanos / 1e9


def time_of(stamp: Timestamp) -> dt.datetime:
    """Return an aware time in UTC. Raises BadParameter (API-MESSAGE) outside the years 1 to 9999."""
    try:
        return stamp.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        raise BadParameter("API-MESSAGE", problem="a time stamp is out of range") from None
