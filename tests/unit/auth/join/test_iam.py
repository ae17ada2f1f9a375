"""Join method iam: what is sent to AWS, and that nothing else ever is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.api.join_proofs import Challenge, StsRequest, read
from teleport.auth.join import iam
from teleport.base.clock import ManualClock
from teleport.client.joining.iam import IamMethod
from teleport.net.fetch import Answer
from teleport.wire import sigv4
from tests.support.auth_cluster import START, Cluster, run
from tests.support.joiner import Shows, join, make, refused

KEYS = sigv4.Credentials(access_key="AKIDEXAMPLE", secret_key="secret", session_token="session")
ARN = "arn:aws:sts::123456789012:assumed-role/agents/i-1"
RULES = [{"aws_account": "123456789012", "aws_arn": "arn:aws:sts::123456789012:assumed-role/agents/*"}]


class Sts:
    """AWS, as far as it says who somebody is."""

    def __init__(self, status: int = 200, account: str = "123456789012", arn: str = ARN) -> None:
        told = {"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Account": account, "Arn": arn}}}
        self.answer = Answer(status, json.dumps(told).encode())
        self.asked: list[tuple[str, str, Mapping[str, str] | None, bytes]] = []

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.asked.append((url, method, headers, body))
        return self.answer


async def keys() -> sigv4.Credentials:
    return KEYS


def machine(region: str = "") -> IamMethod:
    return IamMethod(keys, ManualClock(START), region)


def forged(change: Any) -> Shows:
    """A machine that changes the request that it should send."""

    def solve(challenge: bytes) -> StsRequest:
        return StsRequest(request=change(made(challenge)))

    return Shows("iam", b"", solve)


def made(challenge: bytes) -> str:
    words = read(challenge, Challenge).challenge
    headers = sigv4.sign(
        KEYS, host="sts.amazonaws.com", region="us-east-1", service="sts", body=iam.BODY,
        headers={"accept": "application/json", "x-teleport-challenge": words}, now=START,
    )  # fmt: skip
    return sigv4.write(headers, iam.BODY)


async def stage(cluster: Cluster, sts: Sts, rules: Any = RULES) -> None:
    cluster.fetch = sts
    await make(cluster, "aws", join_method="iam", allow=rules)


@pytest.mark.parametrize(
    ("region", "host"),
    [("", "sts.amazonaws.com"), ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
     ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn")],
)  # fmt: skip
def test_a_machine_joins(region: str, host: str) -> None:
    async def story(cluster: Cluster) -> None:
        sts = Sts()
        await stage(cluster, sts)
        assert (await join(cluster, machine(region), token="aws")).host_id
        ((url, method, headers, body),) = sts.asked
        assert (url, method, body) == (f"https://{host}/", "POST", b"Action=GetCallerIdentity&Version=2011-06-15")
        assert {"authorization", "x-amz-date", "x-amz-security-token", "x-teleport-challenge"} <= (headers or {}).keys()
        (event,) = await cluster.events("instance.join")
        assert event["attributes"] == {"account": "123456789012", "arn": ARN}

    run(story)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("host: sts.amazonaws.com", "host: evil.example.com"), "no known host"),
        (lambda text: text.replace("sts.amazonaws.com", "sts.amazonaws.com@evil.example.com"), "no known host"),
        (lambda text: text.replace("host: sts.amazonaws.com", "host: 169.254.169.254"), "no known host"),
        (lambda text: text.replace("POST / ", "POST /x "), "POST /"),
        (lambda text: text.replace("POST", "GET"), "POST /"),
        (lambda text: text.replace("/sts/aws4", "/s3/aws4"), "of STS"),
        (lambda text: text.replace("x-teleport-challenge: ", "x-teleport-challenge: x"), "challenge header"),
        (lambda text: text.replace(";x-teleport-challenge", ""), "challenge header"),
        (lambda text: text.replace("GetCallerIdentity", "GetSessionTokens!"), "body"),
        (lambda text: text.replace("host:", "x-forwarded-host: a\r\nhost:"), "not sent on"),
        (lambda text: text.replace("host:", "transfer-encoding: chunked\r\nhost:"), "not sent on"),
        (lambda text: text.replace("host:", "Host: evil.example.com\r\nhost:"), "twice"),
        (lambda text: "GET / HTTP/1.1\r\n\r\n", "signature"),
    ],
)  # fmt: skip
def test_nothing_is_sent_but_the_one_request(change: Any, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        sts = Sts()
        await stage(cluster, sts)
        error = await refused(cluster, forged(change), token="aws")
        assert (error.code, words in error.what) == ("AUTH-JOIN-PROOF", True), error.what
        assert sts.asked == []

    run(story)


def test_a_request_of_another_conversation_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        sts = Sts()
        await stage(cluster, sts)
        kept: list[str] = []

        def keep(text: str) -> str:
            kept.append(text)
            return kept[0]

        assert (await join(cluster, forged(keep), token="aws")).host_id
        error = await refused(cluster, forged(keep), token="aws")
        assert error.what == "sts identity request does not include challenge header or it does not match"
        assert len(sts.asked) == 1

    run(story)


@pytest.mark.parametrize(
    ("sts", "code", "words"),
    [
        (Sts(403), "AUTH-JOIN-PROOF", "aws sts api returned status: 403"),
        (Sts(account="999999999999"), "AUTH-JOIN-RULES", "999999999999"),
        (Sts(arn="arn:aws:sts::123456789012:assumed-role/other/i-1"), "AUTH-JOIN-RULES", "other"),
    ],
)
def test_aws_has_the_last_word(sts: Sts, code: str, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, sts)
        error = await refused(cluster, machine(), token="aws")
        assert (error.code, words in error.what) == (code, True), error.what
        sts.answer = Answer(200, b"<html>")
        assert "did not answer with an identity" in (await refused(cluster, machine(), token="aws")).what

    run(story)


def test_aws_may_answer_in_its_older_form() -> None:
    async def story(cluster: Cluster) -> None:
        sts = Sts()
        await stage(cluster, sts)
        sts.answer = Answer(
            200,
            b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            b"<UserId>AKIAIOSFODNN7EXAMPLE</UserId><Account>123456789012</Account><Arn>" + ARN.encode() + b"</Arn>"
            b"</GetCallerIdentityResult></GetCallerIdentityResponse>",
        )
        assert (await join(cluster, machine(), token="aws")).host_id
        sts.answer = Answer(200, sts.answer.body.replace(b"role/agents", b"role/others"))
        assert (await refused(cluster, machine(), token="aws")).code == "AUTH-JOIN-RULES"

    run(story)


def test_aws_is_not_there() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, "aws", join_method="iam", allow=RULES)
        assert "did not answer" in (await refused(cluster, machine(), token="aws")).what

    run(story)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("sts.us-gov-west-1.amazonaws.com", True), ("sts-fips.us-east-1.amazonaws.com", True),
        ("sts.cn-north-1.amazonaws.com", False), ("sts.us-east-1.amazonaws.com.cn", False),
        ("sts.mars-1.amazonaws.com", False), ("STS.amazonaws.com", False), ("sts.amazonaws.com:443", False),
        ("xsts.amazonaws.com", False), ("sts.amazonaws.com.evil.example", False), ("", False),
    ],
)  # fmt: skip
def test_hosts(host: str, known: bool) -> None:
    assert iam.is_sts(host) is known


@given(st.text(max_size=80))
def test_other_hosts_are_none(host: str) -> None:
    assert not iam.is_sts(host) or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
