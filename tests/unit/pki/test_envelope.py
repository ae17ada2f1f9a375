"""Envelopes of recordings: sealed for one key, opened by it alone, and nothing in them can be moved or changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, Internal
from teleport.pki import envelope, keys
from teleport.pki.envelope import Opener, Sealer
from teleport.wire import recording_chunk as chunks

KEY_ID = "0123456789abcdef0123456789abcdef"
SESSION = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff"
OTHER = "1f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff"
PRIVATE = envelope.make_key(SeededEntropy(1))
TEXT = b"drwxr-xr-x 2 root root 4096 some file of a long list\r\n" * 100


def data_key(seed: int) -> envelope.DataKey:
    return envelope.DataKey(KEY_ID, PRIVATE.public_key(), SeededEntropy(seed))


def seal(*texts: bytes, compress: bool = True) -> list[chunks.Chunk]:
    """Return the chunks of a recording."""
    sealer = Sealer(SESSION, data_key(2))
    made = [
        sealer.seal(text, at, at + 1, final=at == len(texts) - 1, compress=compress) for at, text in enumerate(texts)
    ]
    assert sealer.count == len(texts)
    found = list(chunks.scan(b"".join(made)))
    assert len(found) == len(texts)
    return found


def opener(first: chunks.Chunk, private: envelope.X25519PrivateKey = PRIVATE) -> Opener:
    key_id, wrapped = envelope.split_key_part(first.key)
    assert key_id == KEY_ID
    return Opener(envelope.unwrap(wrapped, private))


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.booleans())
def test_what_was_sealed_is_opened(texts: list[bytes], compress: bool) -> None:
    found = seal(*texts, compress=compress)
    key = opener(found[0])
    assert [key.open(chunk) for chunk in found] == texts
    assert found[-1].head.final


def test_text_shrinks_and_noise_does_not_grow() -> None:
    text, plain = seal(TEXT)[0], seal(TEXT, compress=False)[0]
    assert text.head.payload_size * 5 < plain.head.payload_size == len(TEXT) + 16
    noise = SeededEntropy(3).token(5000)
    (chunk,) = seal(noise)
    assert (chunk.head.compressed, chunk.head.payload_size) == (False, 5016)
    assert TEXT[:20] not in plain.payload


def test_two_recordings_of_the_same_share_nothing() -> None:
    one, other = (Sealer(SESSION, data_key(seed)) for seed in (4, 5))
    assert chunks.parse(one.seal(TEXT, 0, 0)).payload != chunks.parse(other.seal(TEXT, 0, 0)).payload


def test_a_data_key_serves_one_recording() -> None:
    key = data_key(6)
    Sealer(SESSION, key)
    with pytest.raises(Internal) as caught:
        Sealer(OTHER, key)
    assert caught.value.code == "PKI-KEY-SPENT"


def test_another_key_opens_nothing() -> None:
    with pytest.raises(BadParameter, match="another key") as caught:
        opener(seal(TEXT)[0], envelope.make_key(SeededEntropy(9)))
    assert caught.value.code == "PKI-RECORDING"
    short = envelope.wrap(b"short", PRIVATE.public_key())
    with pytest.raises(BadParameter, match="another length"):
        envelope.unwrap(short, PRIVATE)


@given(st.binary(max_size=120))
def test_any_bytes_are_no_wrapped_key(wrapped: bytes) -> None:
    with pytest.raises(BadParameter):
        envelope.unwrap(wrapped, PRIVATE)


@pytest.mark.parametrize("changes", [{"last": 9}, {"final": True}, {"number": 2}, {"session_id": OTHER}])
def test_a_changed_head_is_found(changes: dict[str, object]) -> None:
    first, second = seal(TEXT, TEXT, TEXT)[:2]
    head = second.head._replace(**changes)  # type: ignore[arg-type]
    forged = chunks.parse(chunks.build(head, b"", second.payload))
    with pytest.raises(BadParameter, match="was changed"):
        opener(first).open(forged)


def test_a_chunk_of_another_place_is_found() -> None:
    first, second, third = seal(b"one", b"two", b"six")
    forged = chunks.parse(chunks.build(third.head, b"", second.payload))
    with pytest.raises(BadParameter, match="chunk 2 was changed"):
        opener(first).open(forged)


@pytest.mark.parametrize("part", [b"", bytes(16)])
def test_a_first_chunk_names_its_key(part: bytes) -> None:
    with pytest.raises(BadParameter, match="to which key"):
        envelope.split_key_part(part)


def test_keys_are_read_as_they_were_written() -> None:
    again = envelope.load_private(envelope.private_pem(PRIVATE))
    assert envelope.spki(again) == envelope.spki(PRIVATE)
    wrapped = envelope.wrap(b"k" * 32, envelope.load_public(envelope.spki(PRIVATE)))
    assert envelope.unwrap(wrapped, again) == b"k" * 32


def test_other_keys_are_refused() -> None:
    other = keys.make_ed25519(SeededEntropy(1))
    for private in (b"", b"-----BEGIN", keys.private_pem(other)):
        with pytest.raises(BadParameter, match="private key of recordings"):
            envelope.load_private(private)
    for public in (b"", b"0" * 44, keys.spki(other.public_key())):
        with pytest.raises(BadParameter, match="public key of recordings"):
            envelope.load_public(public)
