"""The way out of a session that hangs."""

from __future__ import annotations

import pytest

from teleport.client.ssh_client.escape import Escape


@pytest.mark.parametrize(
    ("typed", "sent", "leaves"),
    [
        (b"~.", b"", True), (b"ls\r~.more", b"ls\r", True), (b"ls ~.\r", b"ls ~.\r", False), (b"~~.", b"~.", False),
        (b"\r~x", b"\r~x", False), (b"ls\n~~\n", b"ls\n~\n", False), (b"a~~b", b"a~~b", False), (b"", b"", False),
        (b"~\r~.", b"~\r", True),
    ],
)  # fmt: skip
def test_at_the_beginning_of_a_line_only(typed: bytes, sent: bytes, leaves: bool) -> None:
    whole = Escape()
    assert (whole.feed(typed), whole.leaving) == (sent, leaves)
    single, kept = Escape(), b""
    for key in typed:
        kept += single.feed(bytes([key]))
        if single.leaving:
            break
    assert (kept, single.leaving) == (sent, leaves)
