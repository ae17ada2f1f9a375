"""What `tsh doctor` and `teleport doctor` share: running the checks, the report, the exit status."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import click

from teleport.cli.common import show
from teleport.client.doctor import report
from teleport.client.doctor.net import CHECKS
from teleport.client.doctor.run import examine
from teleport.client.doctor.trip import Trip

_OPTIONS = (
    click.option("--only", default="", metavar="CHECKS", help="Only these checks and what they need, with commas."),
    click.option("--insecure", is_flag=True, help="Do not check the certificate of the proxy's web port."),
)


def doctor_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of every doctor."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def examine_and_exit(trip: Trip, only: str, output_format: str) -> None:
    """Print what the checks find; exit with status 1 if something is wrong."""
    wanted = tuple(name.strip() for name in only.split(",") if name.strip())
    findings = asyncio.run(examine(trip, CHECKS, wanted))
    title = f"network to {trip.address}"
    if output_format == "text":
        click.echo("\n".join(report.lines(title, findings)))
    else:
        show(report.document(title, findings), output_format)
    sys.exit(1 if report.failed(findings) else 0)
