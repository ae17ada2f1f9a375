"""What checks find, and how a report of it reads.

network
  ok    dns      proxy.example.com -> 203.0.113.7                               12 ms
  FAIL  balancer ...
        cause    ...
        fix      ...
        code     NET-ALPN-STRIPPED    more: tsh help NET-ALPN-STRIPPED
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from teleport.base import catalogue
from teleport.base.errors import TeleportError

State = Literal["ok", "warn", "fail", "skip"]
_SHOWN = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "skip": "skip"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    state: State
    evidence: str
    """What was seen, in one line."""
    cause: str = ""
    fix: str = ""
    code: str = ""
    seconds: float = 0.0
    """How long it took."""

    @classmethod
    def of(cls, check: str, error: TeleportError, state: State = "fail") -> Finding:
        """Return what an error says."""
        return cls(check, state, error.what, cause=error.why, fix=error.fix, code=error.code)

    @classmethod
    def told(cls, check: str, code: str, evidence: str, state: State = "fail", **fields: object) -> Finding:
        """Return what the page of a code says to something that was seen."""
        page = catalogue.find(code)
        return cls(check, state, evidence, page.why.format_map(fields), page.fix.format_map(fields), code)

    def took(self, seconds: float) -> Finding:
        """Return the same with the time it took."""
        return replace(self, seconds=round(seconds, 4))


def failed(findings: Sequence[Finding]) -> bool:
    """Whether something is wrong."""
    return any(finding.state == "fail" for finding in findings)


def lines(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the report for people to read."""
    yield title
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        took = f"  {finding.seconds * 1000:.0f} ms" if finding.state != "skip" else ""
        yield f"  {_SHOWN[finding.state]:<5} {finding.check:<{width}}  {finding.evidence}{took}"
        for name in ("cause", "fix", "code"):
            if text := getattr(finding, name):
                more = f"    more: tsh help {text}" if name == "code" else ""
                yield f"        {name:<{width}}  {text}{more}"
    counts = {state: sum(finding.state == state for finding in findings) for state in _SHOWN}
    if counts["fail"] or counts["warn"] or counts["skip"]:
        yield f"{counts['fail']} failed, {counts['warn']} warnings, {counts['skip']} skipped"
    else:
        yield "everything that was looked at is well"


def document(title: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the report for programs to read."""
    return {"subject": title, "failed": failed(findings), "findings": [asdict(finding) for finding in findings]}
