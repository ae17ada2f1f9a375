"""Laws of the agent protocol: no answer crashes its reader."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire import ssh_agent
from teleport.wire.buffer import NeedMore, ProtocolError

READERS = (ssh_agent.frame, ssh_agent.read_identities, ssh_agent.read_signature, ssh_agent.read_success)


@settings(max_examples=200)
@given(st.sampled_from([b"", b"\x0c", b"\x0c\0\0\0\x01", b"\x0e", b"\0\0\0"]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(start, data):
    for read in READERS:
        with contextlib.suppress(ProtocolError, NeedMore):
            read(start + data)
