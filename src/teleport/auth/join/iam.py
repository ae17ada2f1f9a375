"""Join method iam: a machine lets AWS say who it is.

It signs a request to AWS (`sts:GetCallerIdentity`) that repeats our challenge, and hands it to us unsent; we send it,
and AWS answers with account and role. What we send is written by a stranger: it goes to a known host of AWS and nowhere
else, which is looked at before anything is sent; it carries known headers alone; and its body is one fixed text. The
challenge is in what is signed, and is good for this conversation alone, so no request is good for a second one.
"""

from __future__ import annotations

import base64
import hmac
import re

import msgspec

from teleport.api import join_proofs
from teleport.auth.join.method import Proven, Request
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.model.token_methods.aws import AwsRule
from teleport.model.token_methods.rules import glob_matches
from teleport.net.fetch import Answer, Fetch
from teleport.wire import sigv4

BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
CHALLENGE = "x-teleport-challenge"
REGIONS = frozenset({
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1", "ca-central-1", "ca-west-1",
    "mx-central-1", "sa-east-1", "eu-central-1", "eu-central-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-south-1",
    "eu-south-2", "eu-north-1", "il-central-1", "me-south-1", "me-central-1", "af-south-1", "ap-east-1", "ap-east-2",
    "ap-south-1", "ap-south-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1",
    "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7",
})  # fmt: skip
CHINA = frozenset({"cn-north-1", "cn-northwest-1"})
_HOST = re.compile(r"sts(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")
_XML = re.compile(rb"<Account>([0-9]{12})</Account>\s*<Arn>([!-;=?-~]{1,2048})</Arn>\s*</GetCallerIdentityResult>")
"""The other form in which the service answers, where JSON is not asked for."""
_HEADERS = frozenset({
    "accept", "authorization", "content-type", "host", "user-agent", "x-amz-content-sha256", "x-amz-date",
    "x-amz-security-token", CHALLENGE,
})  # fmt: skip


class _Identity(msgspec.Struct):
    Account: str
    Arn: str


class _Result(msgspec.Struct):
    GetCallerIdentityResult: _Identity


class _Response(msgspec.Struct):
    GetCallerIdentityResponse: _Result


class IamJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, fetch: Fetch, entropy: Entropy) -> None:
        self._fetch = fetch
        self._entropy = entropy

    async def __call__(self, request: Request) -> Proven:
        """Put a challenge, let AWS judge the answer, and find a rule for who it is."""
        challenge = base64.b64encode(self._entropy.token(32)).decode()
        solution = await request.ask(join_proofs.write(join_proofs.Challenge(challenge=challenge)))
        signed = self._read(request, join_proofs.read(solution, join_proofs.StsRequest).request, challenge)
        who = _identity(request, await self._send(request, signed))
        if not any(_matches(rule, who) for rule in request.token.spec.allow):
            raise request.no_rule(f"{who.Arn[:200]} of the account {who.Account[:20]}")
        return Proven(attributes={"account": who.Account[:20], "arn": who.Arn[:256]})

    def _read(self, request: Request, text: str, challenge: str) -> sigv4.SignedRequest:
        """Return the request, if it is the only one that may be sent. Raises AccessDenied (AUTH-JOIN-PROOF)."""
        try:
            signed = sigv4.read(text)
        except TeleportError as error:
            raise request.refuse(error.what) from None
        if not is_sts(signed.host):
            raise request.refuse(
                f"the sts identity request is for {signed.host[:100]!r}, which is no known host of AWS STS"
            )
        if signed.method != "POST" or signed.target != "/" or signed.service != "sts":
            raise request.refuse("the sts identity request is not `POST /` of STS")
        shown = signed.headers.get(CHALLENGE, "")
        if not hmac.compare_digest(shown.encode(), challenge.encode()) or CHALLENGE not in signed.signed:
            raise request.refuse("sts identity request does not include challenge header or it does not match")
        if signed.body != BODY:
            raise request.refuse("the body of the sts identity request is not GetCallerIdentity alone")
        if strange := sorted(signed.headers.keys() - _HEADERS):
            raise request.refuse(
                f"the sts identity request has headers that are not sent on: {', '.join(strange)[:200]}"
            )
        return signed

    async def _send(self, request: Request, signed: sigv4.SignedRequest) -> Answer:
        headers = {**signed.headers, "accept": signed.headers.get("accept", "application/json")}
        try:
            answer = await self._fetch(f"https://{signed.host}/", method="POST", headers=headers, body=signed.body)
        except TeleportError as error:
            raise request.refuse(f"aws sts api did not answer: {error.what}") from None
        if answer.status != 200:
            raise request.refuse(f"aws sts api returned status: {answer.status}")
        return answer


def is_sts(host: str) -> bool:
    """Whether a host is one of the Security Token Service of AWS: the global one, or that of a known region."""
    if host == "sts.amazonaws.com":
        return True
    found = _HOST.fullmatch(host)
    return found is not None and found[1] in (CHINA if found[2] else REGIONS)


def _identity(request: Request, answer: Answer) -> _Identity:
    if found := _XML.search(answer.body):
        return _Identity(Account=found[1].decode(), Arn=found[2].decode())
    try:
        return msgspec.json.decode(answer.body, type=_Response).GetCallerIdentityResponse.GetCallerIdentityResult
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise request.refuse("aws sts api did not answer with an identity") from None


def _matches(rule: AwsRule, who: _Identity) -> bool:
    account = not rule.aws_account or rule.aws_account == who.Account
    return account and (not rule.aws_arn or glob_matches(rule.aws_arn, who.Arn))
