"""`tbot wait`: asks a bot until it is ready, and says what was the matter when the time is over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pytest

from teleport.base.errors import TeleportError, Unavailable
from teleport.base.struct import Duration
from teleport.cli.entry import main
from teleport.cli.tbot.wait import until_ready
from teleport.net.fetch import Answer
from tests.support.virtual_loop import run

ADDRESS = "127.0.0.1:3001"
HEALTHY = {"status": "healthy", "reason": ""}
SICK = {"status": "unhealthy", "reason": "no such role"}


def answer(status: int, value: object) -> Answer:
    return Answer(status, value if isinstance(value, bytes) else json.dumps(value).encode())


def whole(status: int, **services: object) -> Answer:
    return answer(status, {"status": "healthy" if status == 200 else "unhealthy", "services": services})


NOBODY = Unavailable("NET-FETCH", url="http://x", problem="connection refused")


class Bot:
    """Answers in turn; the last answer stays."""

    def __init__(self, answers: Iterable[Answer | TeleportError]) -> None:
        self._answers = [*answers]
        self.asked: list[str] = []

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.asked.append(url)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(found, TeleportError):
            raise found
        return found


def waited(*answers: Answer | TeleportError, service: str = "", limit: float = 60) -> Bot:
    bot = Bot(answers)
    run(until_ready(bot, ADDRESS, service, Duration(limit)))
    return bot


def failure(*answers: Answer | TeleportError, service: str = "") -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        waited(*answers, service=service)
    return caught.value


def test_it_asks_until_all_is_well() -> None:
    bot = waited(NOBODY, whole(200), whole(503, identity=SICK), whole(200, identity=HEALTHY))
    assert bot.asked == ["http://127.0.0.1:3001/readyz"] * 4


def test_one_service_alone() -> None:
    bot = waited(answer(503, SICK), answer(200, HEALTHY), service="my+own/1")
    assert bot.asked == ["http://127.0.0.1:3001/readyz/my%2Bown%2F1"] * 2


def test_a_service_that_the_bot_does_not_know() -> None:
    error = failure(answer(404, {}), whole(200, identity=HEALTHY, a=HEALTHY), service="b")
    assert (error.code, str(error), error.why) == (
        "TBOT-WAIT-SERVICE", "the bot has no service b", "its services are: a, identity",
    )  # fmt: skip
    waited(answer(404, {}), whole(200), answer(200, HEALTHY), service="b")


def test_what_was_the_matter_when_the_time_is_over() -> None:
    error = failure(whole(503, b=SICK, a={"status": "initializing", "reason": ""}, c=HEALTHY))
    assert error.code == "TBOT-WAIT"
    assert str(error) == (
        f"the bot at {ADDRESS} is not ready after 1m0s: a is initializing; b is unhealthy (no such role)"
    )
    assert "connection refused" in str(failure(NOBODY))
    assert "it has only just started" in str(failure(whole(200)))
    assert str(failure(answer(503, SICK), service="x")).endswith(": x is unhealthy (no such role)")


def strange() -> Iterator[Answer]:
    yield answer(302, {})
    yield answer(404, b"not found")
    for value in (b"<html>", b"[]", {}, {"status": "healthy"}, {"status": "x", "services": []},
                  {"status": "x", "services": {"a": 1}}, b"[" * 100_000, b"\xff"):  # fmt: skip
        yield answer(200, value)


@pytest.mark.parametrize("what", [*strange()])
def test_others_that_answer_there(what: Answer) -> None:
    assert failure(what).code == "TBOT-WAIT-ANSWER"


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("tbot", ["wait"]) == 2
    assert main("tbot", ["wait", "--diag-addr=:::"]) == 1
    assert main("tbot", ["wait", "--diag-addr=127.0.0.1:1", "--timeout=0"]) == 1
    assert "TBOT-WAIT" in capsys.readouterr().err
