"""Accounts for logins: what may be asked for, and who holds what."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh.host_users import HostUsers, read
from teleport.base.errors import BadParameter
from tests.support.root import need_root


def asked(id: int = 1, admission: int = 7, **fields: Any) -> messages.Provision:
    plain = {"mode": "keep", "groups": "", "sudoers": "", "uid": "", "gid": "", "shell": ""}
    return messages.Provision(id=id, admission=admission, **{**plain, **fields})


def test_what_is_asked_for_is_read() -> None:
    fields = {"groups": "wheel,docker", "sudoers": "ALL=(ALL) ALL\nALL=(root) /bin/ls", "uid": "1001", "gid": "9"}
    fields["shell"] = "bash"
    wanted = read(asked(**fields), "a.b-c")
    assert (wanted.login, wanted.keep, wanted.groups, wanted.uid, wanted.gid, wanted.shell) == (
        "a.b-c", True, ("wheel", "docker"), "1001", "9", "bash",
    )  # fmt: skip
    assert wanted.sudoers == ("ALL=(ALL) ALL", "ALL=(root) /bin/ls")


@pytest.mark.parametrize("login", ["root", "ALL", "Defaults", "-u", "a b", "a,b", "a:b", "a/b", "é", "a\n", "#1", "%g",
                                   "a" * 33, "", ".a", "a.", "a-"])  # fmt: skip
def test_logins_that_could_mean_something_else(login: str) -> None:
    with pytest.raises(BadParameter) as caught:
        read(asked(), login)
    assert caught.value.code == "SSH-HOST-USER"


@pytest.mark.parametrize(
    "fields",
    [
        {"groups": "-g"}, {"groups": "a,,b"}, {"groups": "a b"}, {"groups": "teleport-system"},
        {"groups": "a,teleport-keep"}, {"groups": ",".join(["g"] * 65)}, {"uid": "0"}, {"uid": "-1"}, {"uid": "07"},
        {"uid": "4294967295"}, {"uid": "\u0663"}, {"gid": "0"}, {"gid": "x"}, {"gid": "9" * 40}, {"shell": "-c"},
        {"shell": "/bin/sh -c x"}, {"shell": "/../bin/sh"},
        {"sudoers": "a\\"}, {"sudoers": "a\\ "}, {"sudoers": "a\n\nb"}, {"sudoers": "a\0b"}, {"sudoers": "a\rb"},
        {"sudoers": "x" * 2001}, {"sudoers": "\n".join(["x"] * 129)}, {"sudoers": " "},
    ],
)  # fmt: skip
def test_fields_that_could_mean_something_else(fields: dict[str, str]) -> None:
    with pytest.raises(BadParameter) as caught:
        read(asked(**fields), "alice")
    assert caught.value.code == "SSH-HOST-USER"


class Queue:
    """Jobs that end when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def add(self, work: Any, then: Any, wanted: Any = lambda: True) -> None:
        self.waiting.append((then, wanted))

    def next(self, **answer: Any) -> bool:
        then, wanted = self.waiting.pop(0)
        if wanted():
            then(answer)
            return True
        return False


def test_an_account_goes_with_the_last_connection_that_holds_it() -> None:
    need_root()
    queue, said = Queue(), list[messages.Reply]()
    users = HostUsers(queue, said.append, allowed=True)  # type: ignore[arg-type]
    users.provision(asked(1, 7), "alice")
    with pytest.raises(BadParameter):
        users.provision(asked(2, 7), "alice")
    users.provision(asked(3, 8), "alice")
    queue.next(created=True, managed=True)
    queue.next(created=False, managed=True)
    assert said == [messages.Provisioned(1, True, True), messages.Provisioned(3, False, True)]
    users.dismiss(7)
    users.dismiss(99)
    assert queue.waiting == []
    users.dismiss(8)
    users.provision(asked(4, 9), "alice")
    assert not queue.next(), "somebody holds it again"
    queue.next(status=14, code="SSH-HOST-USER-TOOL", fields={"tool": "useradd", "problem": "no"})
    assert said[-1] == messages.Refused(4, 14, "SSH-HOST-USER-TOOL", {"tool": "useradd", "problem": "no"})
    queue.next(removed={"alice": ""})
    assert said[-1] == messages.Removed(0, "alice", "")


def test_with_the_service_go_all_accounts() -> None:
    need_root()
    queue, said = Queue(), list[messages.Reply]()
    users = HostUsers(queue, said.append, allowed=True)  # type: ignore[arg-type]
    users.sweep(1)
    for admission, login in ((7, "alice"), (8, "bob"), (9, "bob")):
        users.provision(asked(admission, admission), login)
    queue.next(status=14, code="SSH-HOST-USER-TOOL", fields={})
    assert said == [messages.Accepted(1), messages.Removed(1, "", "{}")]
    for _ in range(3):
        queue.next(created=True, managed=True)
    users.stop()
    assert len(queue.waiting) == 2


def test_a_spawner_that_was_not_allowed_to_makes_none_whatever_it_is_asked() -> None:
    queue, said = Queue(), list[messages.Reply]()
    users = HostUsers(queue, said.append, allowed=False)  # type: ignore[arg-type]
    with pytest.raises(BadParameter) as caught:
        users.provision(asked(), "alice")
    assert caught.value.fields["problem"] == "this node makes no accounts"
    users.sweep(1)
    assert queue.waiting == []
    assert said == [messages.Accepted(1)]
