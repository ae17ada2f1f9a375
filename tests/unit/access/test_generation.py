"""access.generation: lost answers are harmless, copies are found."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.access.generation import judge


@pytest.mark.parametrize(
    ("shown", "key", "expected"),
    [(7, b"x", "next"), (7, b"k", "next"), (6, b"k", "again"), (6, b"x", "fork"), (5, b"k", "mismatch"),
     (8, b"k", "mismatch"), (0, b"k", "mismatch")],
)  # fmt: skip
def test_what_is_shown_decides(shown: int, key: bytes, expected: str) -> None:
    assert judge(7, b"k", shown, key) == expected


@pytest.mark.parametrize(
    ("shown", "key", "followed", "told", "expected"),
    [
        (5, b"a", b"a", 0, "late"), (5, b"a", b"a", 6, "late"), (5, b"a", b"a", 7, "mismatch"),
        (5, b"a", b"b", 0, "mismatch"), (5, b"", b"", 0, "mismatch"), (9, b"a", b"a", 0, "mismatch"),
        (6, b"a", b"a", 0, "fork"), (7, b"a", b"b", 0, "next"),
    ],
)  # fmt: skip
def test_what_was_answered_long_ago_is_late_until_somebody_insists(
    shown: int, key: bytes, followed: bytes, told: int, expected: str
) -> None:
    assert judge(7, b"k", shown, key, followed=followed, told=told) == expected


class Server:
    def __init__(self) -> None:
        self.keys = {1: b"first"}
        self.underway: list[tuple[int, bytes]] = []

    @property
    def given(self) -> int:
        return len(self.keys)

    def renew(self, shown: int, key: bytes, told: int = 0) -> str:
        followed = self.keys.get(shown + 1, b"")
        verdict = judge(self.given, self.keys[self.given], shown, key, followed=followed, told=told)
        if verdict == "next":
            self.keys[shown + 1] = key
        return verdict


class Holder:
    """What a bot has on disk: a generation, and the key that it asks for next."""

    def __init__(self, random: random.Random, generation: int = 1, next_key: bytes = b"") -> None:
        self._random = random
        self.generation, self.next_key = generation, next_key

    def copy(self) -> Holder:
        return Holder(self._random, self.generation, self.next_key)

    def renew(self, server: Server, fate: str) -> str:
        """`fate`: where the bot is killed or the connection cut."""
        if not self.next_key:
            self.next_key = self._random.randbytes(8)
        if fate == "before":
            return "next"
        if fate == "delayed":
            server.underway.append((self.generation, self.next_key))
            return "next"
        verdict = server.renew(self.generation, self.next_key)
        if verdict == "late":  # it is here, and says so
            verdict = server.renew(self.generation, self.next_key, server.given)
        if fate == "repeated":
            verdict = server.renew(self.generation, self.next_key)
        if verdict in ("next", "again") and fate != "lost":
            self.generation, self.next_key = self.generation + 1, b""
        return verdict


fates = st.lists(st.sampled_from(["good", "before", "lost", "repeated", "delayed"]), max_size=40)


@given(fates, st.integers())
def test_one_holder_is_never_locked_out(fates: list[str], seed: int) -> None:
    server, bot = Server(), Holder(random.Random(seed))
    for fate in fates:
        assert bot.renew(server, fate) in ("next", "again")
        if seed % 3 == 0 or fate == "good":
            for request in server.underway[: seed % 5]:
                assert server.renew(*request) in ("next", "again", "late")


@given(fates, fates, fates, st.integers())
def test_a_copy_is_found_once_both_renew(before: list[str], one: list[str], two: list[str], seed: int) -> None:
    """At the latest with the second renewal of each: a copy of a key that was not used yet is good for one."""
    server, bot = Server(), Holder(random.Random(seed))
    for fate in before:
        bot.renew(server, fate)
    thief = bot.copy()
    verdicts = []
    for holder, lot in ((bot, one), (thief, two), (bot, ["good"] * 2), (thief, ["good"] * 2), (bot, ["good"] * 2)):
        verdicts += [holder.renew(server, fate) for fate in lot]
    assert {"fork", "mismatch"} & {*verdicts}
