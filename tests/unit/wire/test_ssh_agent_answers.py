"""The agent's side of the agent protocol, against the client's."""

from __future__ import annotations

import pytest

from teleport.wire import ssh_agent
from teleport.wire.buffer import ProtocolError
from teleport.wire.ssh_agent import Identity
from teleport.wire.ssh_agent_answers import Listing, Signing, identities, read, refusal, signature


def body(message: bytes) -> bytes:
    content, size = ssh_agent.frame(message)
    assert size == len(message)
    return content


def test_what_a_client_asks_is_understood() -> None:
    assert read(body(ssh_agent.list_identities())) == Listing()
    assert read(body(ssh_agent.sign(b"key", b"data"))) == Signing(b"key", b"data")


def test_what_changes_keys_is_none_of_it() -> None:
    assert read(body(ssh_agent.remove(b"key"))) is None
    assert read(b"\x1b\0\0\0\0") is None, "an extension"


def test_answers_are_understood_by_a_client() -> None:
    found = [Identity(b"one", "a"), Identity(b"two", "\u00e9")]
    assert ssh_agent.read_identities(body(identities(found))) == found
    assert ssh_agent.read_signature(body(signature(b"sig"))) == b"sig"
    with pytest.raises(ssh_agent.AgentRefused):
        ssh_agent.read_success(body(refusal()))


@pytest.mark.parametrize("data", [b"", b"\x0bx", b"\x0d\0\0\0\x09", b"\x0d\0\0\0\0\0\0\0\0\0\0\0\0x"])
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(data)
    assert caught.value.code == "WIRE-AGENT"
