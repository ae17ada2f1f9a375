"""The way to the cluster: the checks of `tsh doctor net`, in words for bots."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import partial

from teleport.base.errors import TeleportError
from teleport.bot.doctor.case import Case
from teleport.client.doctor import net
from teleport.client.doctor.check import Check
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip


def checks(case: Case) -> Sequence[Check[Case]]:
    """Return those that apply to the address of the configuration."""
    return [Check(each.name, partial(_run, each), each.needs) for each in net.CHECKS if each.applies(case.trip)]


async def _run(check: Check[Trip], case: Case) -> str | Finding:
    try:
        return await check.run(case.trip)
    except TeleportError as error:
        if error.code == "NET-TLS-NAME" and _is_address(case.trip.address.host):
            return Finding.told(check.name, "TLS-NO-IP-SAN", error.what, address=case.trip.address.host)
        raise


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
