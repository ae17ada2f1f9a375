"""Health: what services that have once become ready lack at the moment, for readiness."""

from __future__ import annotations

from collections.abc import Callable

Check = Callable[[], str]
"""Return what is missing, in a few words; empty while nothing is."""


class Health:
    """Checks, by the service's name."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Check, ...]] = {}

    def follow(self, service: str, *checks: Check) -> None:
        """Ask these checks about a service from here on, and no former ones: it may have been started again."""
        self._checks[service] = checks

    def problem(self, service: str) -> str:
        """Return what a service lacks at the moment; empty: nothing."""
        return next((found for check in self._checks.get(service, ()) if (found := check())), "")
