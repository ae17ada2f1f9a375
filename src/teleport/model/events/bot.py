"""Events of bots: certificates that somebody else holds as well."""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import CallerEvent, Level, Public, Sensitive, event


@event("TCB03W")
class GenerationMismatch(CallerEvent, frozen=True, kw_only=True, tag="cert.generation_mismatch"):
    """A bot showed certificates that are not the last ones of its instance: two programs hold them. It was locked."""

    stored: Annotated[int, Level.PUBLIC] = 0
    """Generation that was given last."""
    presented: Annotated[int, Level.PUBLIC] = 0
    reason: Public = ""
    """`fork`: the same certificates were renewed with two keys; `mismatch`: certificates of before were shown."""
    hostname: Sensitive = ""
    """Where who showed them said that it runs."""
    host_id: Sensitive = ""
    """Which machine they said that is."""
    other_addr_remote: Sensitive = ""
    """From where the last renewal came."""
    other_hostname: Sensitive = ""
    """Where the instance last said that it runs."""
    other_host_id: Sensitive = ""
    """Which machine the last renewal said that it is on."""
    other_time: Public = ""
    """When the last renewal came."""
    lock: Public = ""
    """Name of the lock that follows."""
