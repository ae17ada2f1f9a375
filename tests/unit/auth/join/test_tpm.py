"""Join method tpm: which chip it is, who made it, and that an answer is good once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from teleport.api.join_proofs import TpmAsk, TpmInit, read
from teleport.base.errors import TeleportError
from tests.support.auth_cluster import Cluster, document_of, run
from tests.support.joiner import Shows, join, make, refused
from tests.support.soft_tpm import AK, EK, FROM, OTHER, WEAK_AK, Maker, der, key_hash, machine

MAKER, STRANGER = Maker(), Maker()


async def stage(cluster: Cluster, *rules: dict[str, str], cas: tuple[str, ...] = ()) -> None:
    allow = list(rules) or [{"ek_public_hash": "0" * 64}, {"description": "rack 7", "ek_public_hash": key_hash()}]
    await make(cluster, "racks", join_method="tpm", tpm={"allow": allow, "ekcert_allowed_cas": list(cas)})


def test_a_chip_without_a_certificate_joins_by_its_key() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        assert (await join(cluster, machine(), token="racks")).host_id
        (event,) = await cluster.events("instance.join")
        assert (event["method"], event["success"]) == ("tpm", True)
        assert event["attributes"] == {"ek_public_hash": key_hash(), "ek_certificate_serial": ""}

    run(story)


@pytest.mark.parametrize("rule", [{"ek_certificate_serial": "be:ef"}, {"ek_public_hash": key_hash()},
                                  {"ek_public_hash": key_hash(), "ek_certificate_serial": "be:ef"}])  # fmt: skip
def test_a_chip_with_a_certificate_of_its_maker_joins(rule: dict[str, str]) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, rule, cas=(STRANGER.pem, MAKER.pem))
        shown = machine(certificate=MAKER.certify() + bytes(7))  # chips fill up the rest
        assert (await join(cluster, shown, token="racks")).host_id
        (event,) = await cluster.events("instance.join")
        assert event["attributes"]["ek_certificate_serial"] == "be:ef"

    run(story)


@pytest.mark.parametrize(
    ("shown", "code", "words"),
    [
        (lambda: machine(key=OTHER), "AUTH-JOIN-RULES", "ek_public_hash"),
        (lambda: machine(answer=lambda asked: b"guess"), "AUTH-JOIN-PROOF", "did not open"),
        (lambda: machine(answer=lambda asked: asked.secret[:32]), "AUTH-JOIN-PROOF", "did not open"),
        (lambda: machine(ak=WEAK_AK), "AUTH-JOIN-PROOF", "stays in the chip"),
        (lambda: machine(ak=AK[:7]), "AUTH-JOIN-PROOF", ""),
        (lambda: machine(certificate=b"x"), "AUTH-JOIN-PROOF", "cannot be read"),
        (lambda: Shows("tpm", TpmInit(ek_key=b"", ak_public=AK)), "AUTH-JOIN-PROOF", "cannot be read"),
        (lambda: Shows("tpm", b"{}"), "API-JOIN-PROOF", ""),
        (lambda: Shows("token"), "AUTH-JOIN-METHOD", ""),
    ],
)  # fmt: skip
def test_who_is_turned_away(shown: Any, code: str, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, {"ek_public_hash": key_hash()})
        error = await refused(cluster, shown(), token="racks")
        assert (error.code, words in error.what) == (code, True), error.what
        (event,) = await cluster.events("instance.join")
        assert (event["success"], event["code"]) == (False, "TJ002E")

    run(story)


def test_an_answer_of_another_conversation_is_good_for_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        kept: list[bytes] = []
        honest = machine()

        def keep(challenge: bytes) -> Any:
            assert read(challenge, TpmAsk).blob
            kept.append(honest._solve(challenge).secret)
            return honest._solve(challenge)

        assert (await join(cluster, Shows("tpm", honest._proof, keep), token="racks")).host_id
        replayed = machine(answer=lambda asked: kept[0])
        assert (await refused(cluster, replayed, token="racks")).code == "AUTH-JOIN-PROOF"

    run(story)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (b"", "the chip has no certificate"), (b"x", "cannot be read"),
        (STRANGER.certify(), "none of spec.tpm.ekcert_allowed_cas"),
        (MAKER.certify(until=FROM + dt.timedelta(days=1)), "not valid now"),
        (MAKER.certify(ec.generate_private_key(ec.SECP256R1())), "not RSA"),
    ],
)  # fmt: skip
def test_certificates_that_prove_nothing(certificate: bytes, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, cas=(MAKER.pem,))
        error = await refused(cluster, machine(certificate=certificate), token="racks")
        assert (error.code, words in error.what) == ("AUTH-JOIN-PROOF", True), error.what

    run(story)


def test_the_key_in_the_certificate_is_the_one_that_must_open() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, cas=(MAKER.pem,))
        stolen = Shows("tpm", TpmInit(ek_key=der(OTHER), ek_cert=MAKER.certify(EK), ak_public=AK),
                       lambda challenge: machine(answer=lambda asked: b"?")._solve(challenge))  # fmt: skip
        assert (await refused(cluster, stolen, token="racks")).code == "AUTH-JOIN-PROOF"

    run(story)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"allow": []}, "requires defined token allow rules"),
        ({"allow": [{"description": "x"}]}, "must set at least one of ek_public_hash, ek_certificate_serial"),
        ({"allow": [{"ek_public_hash": "x"}]}, "64 hex digits"),
        ({"allow": [{"ek_public_hash": "0" * 64, "ek_certificate_serial": "0"}]}, "hex digits in pairs"),
        ({"allow": [{"ek_certificate_serial": "01"}]}, "without ekcert_allowed_cas"),
        ({"allow": [{"ek_public_hash": "0" * 64}], "ekcert_allowed_cas": ["x"]}, "not a certificate in PEM"),
    ],
)
def test_tokens_that_cannot_be(block: dict[str, Any], words: str) -> None:
    async def story(cluster: Cluster) -> None:
        spec = {"roles": ["Node"], "join_method": "tpm", "tpm": block}
        with pytest.raises(TeleportError) as caught:
            await cluster.admin.create(document_of("token", "racks", spec))
        assert (caught.value.code, words in caught.value.what) == ("KIND-TOKEN-BLOCK", True), caught.value.what

    run(story)
