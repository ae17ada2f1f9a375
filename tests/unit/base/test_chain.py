"""The chain is what the documentation says, so that any tool can check it."""

import hashlib

from teleport.base import chain


def test_link_is_sha256_of_previous_number_and_data():
    first = chain.link(chain.START, 1, b"data")
    assert first == hashlib.sha256(bytes(32) + (1).to_bytes(8, "big") + b"data").digest()
    assert chain.link(first, 2, b"") != chain.link(chain.START, 2, b"")
