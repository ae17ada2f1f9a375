"""The memory of used proofs: exact, small, and gone when it is of no use any more."""

from __future__ import annotations

import sys

from teleport.agents.ssh.seen import SPAN, Seen

ENDS = 1_900_000_000


def test_a_proof_is_new_once() -> None:
    seen = Seen()
    proofs = [number.to_bytes(32) for number in range(1000)]
    assert all(seen.add(proof, ENDS) for proof in proofs)
    assert not any(seen.add(proof, ENDS) for proof in reversed(proofs))
    assert len(seen) == 1000


def test_it_is_forgotten_only_when_its_certificate_has_ended() -> None:
    seen = Seen()
    seen.add(b"early", ENDS)
    seen.add(b"late", ENDS + 3 * SPAN)
    seen.forget(ENDS - 1.0)
    assert len(seen) == 2
    seen.forget(ENDS + 2.0 * SPAN)
    assert (seen.add(b"late", ENDS + 3 * SPAN), seen.add(b"early", ENDS)) == (False, True)


def test_a_login_costs_some_bytes() -> None:
    seen = Seen()
    for number in range(20_000):
        seen.add(number.to_bytes(32), ENDS)
    (row,) = seen._rows.values()
    assert sys.getsizeof(row) / 20_000 < 10
