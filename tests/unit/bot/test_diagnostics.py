"""What a bot says of itself over HTTP."""

from __future__ import annotations

import asyncio
import json

from teleport.bot.diagnostics import LONGEST, Diagnostics
from teleport.bot.health import Health, Tally
from teleport.net.network import SystemNetwork


def answers(health: Health, *paths: str) -> list[tuple[int, str]]:
    found = [Diagnostics(health, {("identity", "bot-identity-renewal"): Tally(rounds=3, failed=1)}).answer(path)
             for path in paths]  # fmt: skip
    return [(each.status, each.content) for each in found]


def test_a_bot_is_ready_when_every_part_is():
    health = Health()
    health.expect("identity")
    health.expect("output")
    (live, _), (ready, told), (one, _) = answers(health, "/livez", "/readyz", "/readyz/output")
    assert (live, ready, one) == (200, 503, 503)
    assert json.loads(told)["services"]["output"] == {"status": "initializing", "reason": ""}
    health.report("identity", "healthy")
    health.report("output", "unhealthy", "nobody answers")
    assert [status for status, _ in answers(health, "/readyz", "/readyz/identity", "/readyz/output")] == [503, 200, 503]
    assert json.loads(answers(health, "/readyz/output")[0][1]) == {"status": "unhealthy", "reason": "nobody answers"}
    health.report("output", "healthy")
    assert answers(health, "/readyz")[0][0] == 200
    assert [status for status, _ in answers(health, "/readyz/none", "/debug", "")] == [404, 404, 400]


def test_metrics_count_rounds_by_service_and_task():
    text = answers(Health(), "/metrics")[0][1]
    labels = '{service="identity",name="bot-identity-renewal"}'
    assert f"tbot_task_iterations_total{labels} 3\n" in text
    assert f"tbot_task_iterations_failed{labels} 1\n" in text
    assert "# TYPE tbot_task_iterations_successful histogram\n" in text
    assert (
        'tbot_task_iteration_duration_seconds_bucket{service="identity",name="bot-identity-renewal",le="+Inf"} 0'
        in text
    )


def test_questions_are_bounded():
    async def main() -> list[bytes]:
        async with Diagnostics(Health(), {}).serving(SystemNetwork(), "127.0.0.1:0") as address:
            host, _, port = address.rpartition(":")
            said = []
            for question in (
                b"GET /livez?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST / HTTP/1.1\r\n\r\n",
                b"x" * (LONGEST + 1),
            ):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(question)
                said.append((await reader.read(64)).split(b"\r\n")[0])
                writer.close()
            return said

    assert asyncio.run(main()) == [b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 400 Bad Request"]
