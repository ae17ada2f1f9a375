"""Numbers for Prometheus: names, types, escapes."""

import asyncio
import re

from teleport.process.metrics import Metric, metrics, render
from teleport.process.pulse import Pulse
from teleport.version import VERSION

LINE = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\[\\"n])*"(,[a-z]+="(?:[^"\\\n]|\\[\\"n])*")*\})? -?[0-9.e+-]+')


def text():
    async def body():
        return render(metrics(Pulse(), {"auth": True, "proxy": False}, {'unix:/x"\\\n': 2}))

    return asyncio.run(body())


def test_every_line_is_of_the_format():
    for line in text().splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line), line


def test_what_is_asked_most_is_there():
    values = dict(line.rsplit(" ", 1) for line in text().splitlines() if not line.startswith("#"))
    assert float(values["process_cpu_seconds_total"]) > 0
    assert float(values["process_resident_memory_bytes"]) > 1_000_000
    assert float(values["process_open_fds"]) > 2
    assert float(values["process_start_time_seconds"]) > 1_600_000_000
    assert float(values["teleport_tasks"]) == 1
    assert "teleport_loop_lag_seconds" in values
    assert values['teleport_service_ready{service="auth"}'] == "1"
    assert values['teleport_service_ready{service="proxy"}'] == "0"
    assert values['teleport_connections{address="unix:/x\\"\\\\\\n"}'] == "2"
    assert any(f'version="{VERSION}"' in name for name in values)


def test_a_metric_says_its_type_once():
    many = Metric("x_total", "counter", "Help.", {(("a", "1"),): 1, (("a", "2"),): 0.25})
    assert render([many]) == '# HELP x_total Help.\n# TYPE x_total counter\nx_total{a="1"} 1\nx_total{a="2"} 0.25\n'
