"""A person who has signed up with an authenticator app, on a cluster in memory whose clock tests move."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support import auth_cluster
from tests.support.auth_cluster import PASSWORD, Cluster
from tests.support.authenticator import Authenticator

Story = Callable[[Cluster], Awaitable[None]]

BROWSER = "b" * 64
STEP = dt.timedelta(seconds=30)


class Person:
    """Somebody with a password and an app."""

    def __init__(self, cluster: Cluster, name: str, secret: str) -> None:
        self.cluster = cluster
        self.name = name
        self.app = Authenticator(secret)

    def code(self, late: int = 0) -> str:
        """Return what the app shows; `late` steps later or, below 0, earlier."""
        return self.app.at(int(self.cluster.clock.now().timestamp()) // 30 + late)

    def next_code(self) -> str:
        """Let a step pass and return the code of the new one."""
        self.cluster.clock.advance(STEP)
        return self.code()

    def wrong_code(self) -> str:
        """Return a code that is not good now."""
        good = {self.code(late) for late in (-1, 0, 1)}
        return next(text for number in range(9) if (text := f"{number:06}") not in good)

    async def sign_in(self, code: str, password: str = PASSWORD, name: str | None = None) -> Any:
        """Sign in as `tsh` does."""
        keys = auth_cluster.public_keys(self.cluster.entropy)
        return await self.cluster.proxy.login(
            self.name if name is None else name, password, code=code, client_address="192.0.2.7:5555", **keys
        )  # fmt: skip

    async def web_sign_in(self, code: str, password: str = PASSWORD, former: str = "") -> tuple[str, Any]:
        """Sign in as a browser does."""
        return await self.cluster.proxy.web_sign_in(
            self.name, password, code, client_address="192.0.2.7", former=former
        )  # fmt: skip


async def invited(cluster: Cluster, name: str = "alice", *roles: str) -> str:
    """Make a user, by default with the role `access`, and return the token of the link."""
    await cluster.admin.create(auth_cluster.user(name, *(roles or ("access",)), logins=("root",)))
    return (await cluster.admin.create_invite(name)).token


async def complete(cluster: Cluster, token: str, name: str = "alice", browser: str = BROWSER) -> Person:
    """Use a link as a person does, with the code of the step before: later ones are left to sign in with."""
    offered = (await cluster.proxy.describe_invite(token, browser)).enrolment
    assert offered is not None
    person = Person(cluster, name, offered.secret)
    await cluster.proxy.complete_invite(token, PASSWORD, browser=browser, code=person.code(-1))
    return person


async def enrolled(cluster: Cluster, name: str = "alice", *roles: str) -> Person:
    """Return a person who has signed up."""
    return await complete(cluster, await invited(cluster, name, *roles), name)


def run(story: Story) -> None:
    """Run a story on a fresh cluster that asks everybody for a second factor."""
    auth_cluster.run(story, "otp")
