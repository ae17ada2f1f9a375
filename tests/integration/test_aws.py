"""iam and ec2 against AWS as others have written it (moto): what it answers to what we sign and send.

moto answers in XML where AWS can answer in JSON, and does not check signatures; `tests/unit/auth/join/test_iam.py` and
`tests/unit/wire/test_sigv4.py` look at both.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from teleport.client.joining.ec2 import Ec2Method
from teleport.client.joining.iam import IamMethod
from teleport.wire import sigv4
from tests.support import moto
from tests.support.auth_cluster import Cluster, run
from tests.support.ec2 import AWS as SIGNER
from tests.support.ec2 import Imds, document, signed
from tests.support.joiner import join, make, refused
from tests.support.moto import ACCOUNT, REGION, Moto, value

ROLE = f"arn:aws:iam::{ACCOUNT}:role/agents"


@pytest.fixture(scope="module")
def aws() -> Iterator[Moto]:
    with moto.running() as server:
        yield server


def user(aws: Moto, name: str) -> sigv4.Credentials:
    """Make a user and keys."""
    aws.call("iam", "CreateUser", UserName=name)
    made = aws.call("iam", "CreateAccessKey", UserName=name)
    return sigv4.Credentials(access_key=value(made, "AccessKeyId"), secret_key=value(made, "SecretAccessKey"))


def role(aws: Moto, session: str) -> sigv4.Credentials:
    """Take on a role."""
    made = aws.call("sts", "AssumeRole", RoleArn=ROLE, RoleSessionName=session)
    return sigv4.Credentials(
        access_key=value(made, "AccessKeyId"), secret_key=value(made, "SecretAccessKey"),
        session_token=value(made, "SessionToken"),
    )  # fmt: skip


def machine(cluster: Cluster, keys: sigv4.Credentials, region: str = REGION) -> IamMethod:
    async def find() -> sigv4.Credentials:
        return keys

    return IamMethod(find, cluster.clock, region)


def test_users_and_roles_join_by_their_names(aws: Moto) -> None:
    alice, agent = user(aws, "alice"), role(aws, "i-1")

    async def story(cluster: Cluster) -> None:
        cluster.fetch, before = aws, len(aws.asked)
        rules = [{"aws_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/agents/*"}]
        await make(cluster, "roles", join_method="iam", allow=rules)
        await make(cluster, "all", join_method="iam", allow=[{"aws_account": ACCOUNT}])
        await make(cluster, "other", join_method="iam", allow=[{"aws_account": "999999999999"}])
        assert (await join(cluster, machine(cluster, agent), token="roles")).host_id
        assert (await join(cluster, machine(cluster, alice, region=""), token="all")).host_id
        error = await refused(cluster, machine(cluster, alice), token="roles")
        assert (error.code, f"arn:aws:iam::{ACCOUNT}:user/alice" in error.what) == ("AUTH-JOIN-RULES", True), error.what
        assert (await refused(cluster, machine(cluster, agent), token="other")).code == "AUTH-JOIN-RULES"
        told = [event["attributes"] for event in await cluster.events("instance.join") if event["success"]]
        assert told == [
            {"account": ACCOUNT, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/agents/i-1"},
            {"account": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/alice"},
        ]
        assert set(aws.asked[before:]) == {f"https://sts.{REGION}.amazonaws.com/", "https://sts.amazonaws.com/"}

    run(story)


def test_an_instance_joins_as_long_as_it_runs(aws: Moto) -> None:
    auth = user(aws, "auth")
    started = aws.call("ec2", "RunInstances", ImageId="ami-12c6146b", MinCount="1", MaxCount="1")
    instance = value(started, "instanceId")

    async def story(cluster: Cluster) -> None:
        cluster.fetch = aws
        cluster.environment.update(
            AWS_ACCESS_KEY_ID=auth.access_key, AWS_SECRET_ACCESS_KEY=auth.secret_key,
            TELEPORT_AWS_CERTIFICATES="/aws.pem",
        )  # fmt: skip
        cluster.disk.write("/aws.pem", SIGNER.pem.encode())
        await make(cluster, "vms", join_method="ec2", allow=[{"aws_account": ACCOUNT, "aws_role": ROLE}])

        def shown(name: str) -> Ec2Method:
            return Ec2Method(Imds(signed(document(cluster.clock.now(), accountId=ACCOUNT, instanceId=name))))

        error = await refused(cluster, shown("i-00000000"), token="vms")
        assert (error.code, "DescribeInstances" in error.what) == ("AUTH-JOIN-EC2", True), error.what
        aws.call("ec2", "StopInstances", **{"InstanceId.1": instance})
        assert (await refused(cluster, shown(instance), token="vms")).code == "AUTH-JOIN-RULES"
        aws.call("ec2", "StartInstances", **{"InstanceId.1": instance})
        assert (await join(cluster, shown(instance), token="vms")).host_id == f"{ACCOUNT}-{instance}"

    run(story)
