"""Whether this machine and the proxy agree on the time: certificates live by it."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime

from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip

TOLERATED = dt.timedelta(seconds=60)


async def run(trip: Trip) -> str | Finding:
    """Compares with the `Date` of the proxy's answer (RFC 9110 section 6.6.1), which may be a balancer's."""
    try:
        theirs = parsedate_to_datetime(trip.date)
    except ValueError:
        return Finding("clock", "skip", "the answer has no date")
    if theirs.tzinfo is None:
        return Finding("clock", "skip", "the date of the answer has no zone")
    ahead = trip.clock.now() - theirs
    where = "ahead of" if ahead > dt.timedelta() else "behind"
    evidence = f"this machine is {abs(ahead.total_seconds()):.0f} s {where} the proxy"
    return evidence if abs(ahead) <= TOLERATED else Finding.told("clock", "CLOCK-SKEW", evidence)
