"""Whatever arrives between the processes of a node is a message of the book or is refused, and nothing else."""

import json

from hypothesis import given
from hypothesis import strategies as st

from teleport.agents.ssh import spawner_messages, user_side_messages
from teleport.base.errors import BadParameter

DECODERS = (
    spawner_messages.decode_request, spawner_messages.decode_reply,
    user_side_messages.decode_request, user_side_messages.decode_reply,
)  # fmt: skip
KINDS = (
    "Trust", "Admit", "Dismiss", "Helper", "Start", "Signal", "Accepted", "Refused", "Exited", "ConnectTcp",
    "ConnectUnix", "OpenDisplay", "ServeSftp", "Forget", "Given",
)  # fmt: skip
FIELDS = (
    "id", "login", "session_id", "message", "signature", "source", "admission", "command", "environment", "terminal",
    "name", "cluster", "authorities", "host", "port", "path", "cookie", "status", "code", "fields", "listener",
)  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("AAAA"),
    st.dictionaries(st.text(max_size=3), st.one_of(st.text(max_size=3), st.integers()), max_size=2),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip


def refuses_or_reads(data: bytes) -> None:
    for decode in DECODERS:
        try:
            assert decode(data) is not None
        except BadParameter as error:
            assert error.code == "SSH-SPAWN-MESSAGE"  # noqa: PT017 - whether it is raised depends on the data


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    refuses_or_reads(data)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8), st.binary(max_size=4))
def test_any_object(kind: str, fields: dict[str, object], tail: bytes) -> None:
    refuses_or_reads(json.dumps({"kind": kind, **fields}).encode() + tail)
