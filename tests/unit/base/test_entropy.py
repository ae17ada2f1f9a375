"""Random bytes and what is made of them."""

import uuid

from teleport.base.entropy import SeededEntropy, SystemEntropy, fraction, new_id, new_uuid


def test_seeded_entropy_repeats():
    assert SeededEntropy(7).token(16) == SeededEntropy(7).token(16)
    assert SeededEntropy(7).token(16) != SeededEntropy(8).token(16)


def test_system_entropy_does_not():
    assert SystemEntropy().token(16) != SystemEntropy().token(16)
    assert len(SystemEntropy().token(5)) == 5


def test_uuid_is_version_4():
    assert uuid.UUID(new_uuid(SystemEntropy())).version == 4


def test_id_has_26_letters_that_are_not_confused():
    found = new_id(SystemEntropy())
    assert len(found) == 26
    assert not set(found) & set("ilouILOU")


def test_fraction_is_below_one():
    class Ones:
        def token(self, size: int) -> bytes:
            return b"\xff" * size

    assert 0.999 < fraction(Ones()) < 1


def test_uuids_are_those_of_the_standard_library():
    for seed in range(50):
        data = SeededEntropy(seed).token(16)
        assert new_uuid(SeededEntropy(seed)) == str(uuid.UUID(bytes=data, version=4))
