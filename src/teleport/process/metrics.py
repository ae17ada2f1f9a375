"""Numbers of this process for Prometheus, in its text format (version 0.0.4).

Here: the process, its event loop, its services and connections. Whoever has more to tell adds lines of
their own service. Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import asyncio
import gc
import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from teleport.base.counters import Counter
from teleport.process import facts
from teleport.process.pulse import Pulse
from teleport.version import GIT_REF, VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


Labels = tuple[tuple[str, str], ...]
"""Names and values of labels."""


class Metric(NamedTuple):
    """One number, or several that differ in a label."""

    name: str
    kind: str
    """`counter` or `gauge`."""
    help: str
    values: Mapping[Labels, float]
    """Value by labels; a number without labels has the key ()."""


def metrics(
    pulse: Pulse, services: Mapping[str, bool], connections: Mapping[str, int], counters: Iterable[Counter] = ()
) -> Iterator[Metric]:
    """Return every metric. `services` says which are ready, `connections` how many an address serves, `counters`
    what the services count themselves."""
    now = facts.look()
    yield _counter("process_cpu_seconds_total", "CPU time of the process, user and system.", now.cpu_seconds)
    yield _gauge("process_resident_memory_bytes", "Memory in use.", now.resident)
    yield _gauge("process_virtual_memory_bytes", "Address space.", now.virtual)
    yield _gauge("process_open_fds", "Open descriptors.", now.descriptors)
    yield _gauge("process_max_fds", "Descriptors that may be open.", now.descriptors_limit)
    yield _gauge("process_start_time_seconds", "Start, in seconds since 1970.", now.start_time)
    yield _gauge("process_threads", "Threads of the operating system.", now.threads)
    yield _gauge("teleport_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
    yield _gauge("teleport_loop_lag_seconds", "By how much the event loop was late at its last beat.", pulse.lag)
    yield _gauge("teleport_loop_lag_worst_seconds", "By how much it was late at most.", pulse.worst)
    collections: dict[Labels, float] = {
        (("generation", str(n)),): float(stats["collections"]) for n, stats in enumerate(gc.get_stats())
    }
    yield Metric("python_gc_collections_total", "counter", "Runs of the garbage collector.", collections)
    build = (("version", VERSION), ("gitref", GIT_REF), ("python", platform.python_version()))
    yield Metric("teleport_build_info", "gauge", "This build.", {build: 1})
    ready: dict[Labels, float] = {(("service", name),): float(is_ready) for name, is_ready in services.items()}
    yield Metric("teleport_service_ready", "gauge", "Whether a service is ready.", ready)
    served: dict[Labels, float] = {(("address", address),): float(count) for address, count in connections.items()}
    yield Metric("teleport_connections", "gauge", "Connections that an address serves.", served)
    for counter in counters:
        yield _counter(counter.name, counter.help, counter.value)


def render(found: Iterable[Metric]) -> str:
    """Return the text that a scraper reads."""
    lines = []
    for metric in found:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.values.items():
            lines.append(f"{metric.name}{_labels(labels)} {_number(value)}")
    return "\n".join(lines) + "\n"


def _counter(name: str, text: str, value: float) -> Metric:
    return Metric(name, "counter", text, {(): value})


def _gauge(name: str, text: str, value: float) -> Metric:
    return Metric(name, "gauge", text, {(): value})


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
