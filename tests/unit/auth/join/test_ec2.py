"""Join method ec2: the identity document of an instance, its age, and that it is good once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.caller import Caller
from teleport.api.join_proofs import Ec2Init
from teleport.base.errors import TeleportError
from teleport.client.joining.ec2 import Ec2Method
from teleport.model.kinds.instance import Instance, InstanceSpec
from teleport.model.resource import Metadata
from teleport.net.fetch import Answer
from teleport.pki import codec, x509
from tests.support.auth_cluster import START, Cluster, document_of, run
from tests.support.ec2 import ACCOUNT, AWS, FORGER, INSTANCE, Imds, document, signed
from tests.support.joiner import Shows, join, make, refused

HOST = f"{ACCOUNT}-{INSTANCE}"
RULES = [{"aws_account": "999999999999"}, {"aws_account": ACCOUNT, "aws_regions": ["eu-central-1", "eu-west-1"]}]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/teleport"


async def stage(cluster: Cluster, rules: Any = RULES, **spec: Any) -> None:
    cluster.environment["TELEPORT_AWS_CERTIFICATES"] = "/aws.pem"
    cluster.disk.write("/aws.pem", AWS.pem.encode())
    await make(cluster, "vms", join_method="ec2", allow=rules, **spec)


def machine(cluster: Cluster, **changes: Any) -> Ec2Method:
    return Ec2Method(Imds(signed(document(cluster.clock.now(), **changes))))


def test_an_instance_joins_and_has_the_id_of_its_own() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        joined = await join(cluster, machine(cluster), token="vms")
        assert joined.host_id == HOST
        identity = codec.from_x509(x509.parse(joined.certificates.tls_certificate.encode()))
        assert identity.name.startswith(f"{HOST}.")
        (event,) = await cluster.events("instance.join")
        assert (event["method"], event["host_id"]) == ("ec2", HOST)
        assert event["attributes"] == {"account": ACCOUNT, "region": "eu-central-1", "instance": INSTANCE}

    run(story)


def test_a_document_is_good_once_and_for_minutes() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        shown = machine(cluster)
        first = await join(cluster, shown, token="vms")
        error = await refused(cluster, shown, token="vms")
        assert error.what == "the identity document was used for a join already"
        mine = Caller(codec.from_x509(x509.parse(first.certificates.tls_certificate.encode())), "192.0.2.7:40001")
        assert (await join(cluster, shown, token="vms", caller=mine)).host_id == HOST
        cluster.clock.advance(dt.timedelta(minutes=5, seconds=1))
        assert "may join within 0:05:00" in (await refused(cluster, shown, token="vms", caller=mine)).what
        assert "may join within" in (await refused(cluster, shown, token="vms")).what

    run(story)


def test_an_instance_that_was_started_again_joins_again_once_it_is_gone() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        await join(cluster, machine(cluster), token="vms")
        there = Instance(metadata=Metadata(name=HOST), spec=InstanceSpec(hostname="n1"))
        await cluster.service.store.upsert(there)
        cluster.clock.advance(dt.timedelta(minutes=2))
        error = await refused(cluster, machine(cluster), token="vms")
        assert f"tctl rm instance/{HOST}" in error.what
        await cluster.admin.delete("instance", HOST)
        assert (await join(cluster, machine(cluster), token="vms")).host_id == HOST

    run(story)


@pytest.mark.parametrize(
    ("ttl", "age", "good"),
    [("1h", 3599, True), ("1h", 3601, False), ("5m", -59, True), ("5m", -61, False)],
)  # fmt: skip
def test_the_time_that_a_token_gives(ttl: str, age: float, good: bool) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, aws_iid_ttl=ttl)
        shown = Ec2Method(Imds(signed(document(START - dt.timedelta(seconds=age)))))
        if good:
            assert (await join(cluster, shown, token="vms")).host_id == HOST
        else:
            assert (await refused(cluster, shown, token="vms")).code == "AUTH-JOIN-PROOF"

    run(story)


@pytest.mark.parametrize(
    ("shown", "code", "words"),
    [
        (lambda: signed(document(START, accountId="111111111111")), "AUTH-JOIN-RULES", "of 111111111111"),
        (lambda: signed(document(START, region="us-east-1")), "AUTH-JOIN-RULES", "in us-east-1"),
        (lambda: signed(document(START), FORGER), "AUTH-JOIN-PROOF", "signature is by none"),
        (lambda: signed(document(START, instanceId="x")), "AUTH-JOIN-PROOF", "does not say"),
        (lambda: signed(document(START, accountId="1")), "AUTH-JOIN-PROOF", "does not say"),
        (lambda: signed(document(START, region="Ü")), "AUTH-JOIN-PROOF", "does not say"),
        (lambda: signed(document(START, pendingTime="2030-01-01T00:00:00")), "AUTH-JOIN-PROOF", "does not say"),
        (lambda: signed(document(START, pendingTime=None)), "AUTH-JOIN-PROOF", "cannot be read"),
        (lambda: signed(b"\xff"), "AUTH-JOIN-PROOF", "cannot be read"),
        (lambda: document(START).decode(), "AUTH-JOIN-PROOF", "cannot be read"),
        (lambda: "MIAG", "AUTH-JOIN-PROOF", "the signed message is not accepted"),
    ],
)  # fmt: skip
def test_documents_that_prove_nothing(shown: Any, code: str, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        error = await refused(cluster, Shows("ec2", Ec2Init(identity_document=shown())), token="vms")
        assert (error.code, words in error.what) == (code, True), error.what
        (event,) = await cluster.events("instance.join")
        assert (event["success"], event["token_name"]) == (False, "vms")

    run(story)


def test_without_certificates_of_aws_nobody_joins() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        for content in (None, b"nothing", b""):
            if content is not None:
                cluster.disk.write("/aws.pem", content)
            else:
                del cluster.environment["TELEPORT_AWS_CERTIFICATES"]
            error = await refused(cluster, machine(cluster), token="vms")
            assert (error.code, "regions-certs.html" in error.fix) == ("AUTH-JOIN-ROOTS", True)
            cluster.environment["TELEPORT_AWS_CERTIFICATES"] = "/aws.pem"
        cluster.environment["TELEPORT_AWS_CERTIFICATES"] = "/none.pem"
        assert (await refused(cluster, machine(cluster), token="vms")).code == "AUTH-JOIN-ROOTS"

    run(story)


def test_another_host_does_not_become_the_instance() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        await make(cluster, roles=["Proxy"])
        joined = await join(cluster)
        other = Caller(codec.from_x509(x509.parse(joined.certificates.tls_certificate.encode())), "192.0.2.7:40001")
        error = await refused(cluster, machine(cluster), token="vms", caller=other)
        assert f'Host ID "{joined.host_id}" is not valid when using the EC2 join method' in error.what

    run(story)


@pytest.mark.parametrize("names", [{"additional_principals": ("123456789012-i-0123456789abcdef0.x",)}])
def test_ids_of_instances_are_no_names_of_others(names: dict[str, Any]) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster)
        assert (await refused(cluster, machine(cluster), token="vms", **names)).code == "AUTH-HOST-REQUEST"

    run(story)


def aws(state: str = "running", owner: str = ACCOUNT, status: int = 200, asked: list[str] | None = None) -> Any:
    """STS and EC2, as far as they are asked here; `tests/integration/test_aws.py` asks a server by others."""

    async def fetch(url: str, *, method: str = "GET", headers: Any = None, body: bytes = b"") -> Answer:
        (asked if asked is not None else []).append(f"{url} {body.decode()}")
        if b"Action=AssumeRole&" in body:
            assert "AKIDAUTH" in headers["authorization"]
            keys = "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            return Answer(status, f"<Credentials>{keys}</Credentials>".encode())
        assert (headers["x-amz-security-token"], "ASIA" in headers["authorization"]) == ("t", True)
        told = f"<instanceState><code>16</code><name>{state}</name></instanceState>"
        return Answer(200, f"<ownerId>{owner}</ownerId><instanceId>{INSTANCE}</instanceId>{told}".encode())

    return fetch


def test_a_rule_with_a_role_has_aws_asked() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, [{"aws_account": ACCOUNT, "aws_role": ROLE}])
        cluster.environment.update(AWS_ACCESS_KEY_ID="AKIDAUTH", AWS_SECRET_ACCESS_KEY="s")
        for fetch in (aws("stopped"), aws(owner="111111111111")):
            cluster.fetch = fetch
            assert (await refused(cluster, machine(cluster), token="vms")).code == "AUTH-JOIN-RULES"
        cluster.fetch = aws(status=403)
        error = await refused(cluster, machine(cluster), token="vms")
        assert (error.code, "AssumeRole was answered with status 403" in error.what) == ("AUTH-JOIN-EC2", True)
        asked: list[str] = []
        cluster.fetch = aws(asked=asked)
        assert (await join(cluster, machine(cluster), token="vms")).host_id == HOST
        assert [url.partition(" ")[0] for url in asked] == [
            "https://sts.eu-central-1.amazonaws.com/", "https://ec2.eu-central-1.amazonaws.com/",
        ]  # fmt: skip

    run(story)


def test_aws_cannot_be_asked() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, [{"aws_role": ROLE}])
        assert (await refused(cluster, machine(cluster), token="vms")).code == "AUTH-JOIN-EC2"
        cluster.environment.update(AWS_ACCESS_KEY_ID="AKIDAUTH", AWS_SECRET_ACCESS_KEY="s")
        for region, words in (("mars-north-1", "is not known"), ("eu-central-1", "no network")):
            error = await refused(cluster, machine(cluster, region=region), token="vms")
            assert (error.code, words in error.what) == ("AUTH-JOIN-EC2", True), error.what

    run(story)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "at least one of aws_account, aws_role"), ({"aws_account": "1"}, "twelve digits"),
        ({"aws_account": ACCOUNT, "aws_arn": "arn:*"}, '"aws_arn" cannot be set'),
        ({"aws_role": "teleport"}, "ARN of a role"), ({"aws_account": ACCOUNT, "aws_regions": ["*"]}, "names like"),
    ],
)  # fmt: skip
def test_tokens_that_cannot_be(rule: dict[str, Any], words: str) -> None:
    async def story(cluster: Cluster) -> None:
        spec = {"roles": ["Node"], "join_method": "ec2", "allow": [rule]}
        with pytest.raises(TeleportError) as caught:
            await cluster.admin.create(document_of("token", "vms", spec))
        assert (caught.value.code, words in caught.value.what) == ("KIND-TOKEN-BLOCK", True), caught.value.what

    run(story)
