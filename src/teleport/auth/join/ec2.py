"""Join method ec2: an instance shows its identity document, which AWS has signed.

The document is the same for as long as an instance runs, and every process on it can have it: so it is good for some
minutes after the start of the instance, for one join, and for the host id of that instance alone. An instance that is
in the cluster already is not joined a second time, unless it shows the certificate that it got the first time.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Sequence

import msgspec

from teleport.api import join_proofs
from teleport.auth.join.cloud_roots import CloudRoots
from teleport.auth.join.ec2_running import Running
from teleport.auth.join.method import Proven, Request
from teleport.base.clock import Clock
from teleport.base.errors import NotFound, TeleportError
from teleport.base.struct import Struct, decode, encode
from teleport.model.kinds.instance import Instance
from teleport.model.resource import Time
from teleport.model.token_methods.aws import AwsRule
from teleport.pki import cms
from teleport.store.backend import Absent, At, Backend, Check, Condition, Op, Put
from teleport.store.resources import info_of, key_of

LEEWAY = dt.timedelta(minutes=1)
"""By how much the clock of AWS may be ahead."""
_ACCOUNT, _INSTANCE, _REGION = re.compile(r"[0-9]{12}"), re.compile(r"i-[0-9a-f]{8,17}"), re.compile(r"[a-z0-9-]{4,40}")


class _Document(msgspec.Struct, rename="camel"):
    account_id: str
    instance_id: str
    region: str
    pending_time: dt.datetime

    @property
    def host_id(self) -> str:
        return f"{self.account_id}-{self.instance_id}"


class _Mark(Struct, frozen=True, kw_only=True):
    """What is known of an instance that has joined."""

    pending: Time


class Ec2Join:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, backend: Backend, roots: CloudRoots, running: Running, clock: Clock) -> None:
        """`running` is asked about instances where a rule names a role for that."""
        self._backend = backend
        self._roots = roots
        self._running = running
        self._clock = clock

    async def __call__(self, request: Request) -> Proven:
        """Verify the document, that it is young and new, and find a rule for the instance."""
        document = self._read(request)
        life = dt.timedelta(seconds=request.token.spec.aws_iid_ttl)
        age = self._clock.now() - document.pending_time
        if not -LEEWAY <= age <= life:
            raise request.refuse(
                f"the instance started at {document.pending_time.isoformat()}, and may join within {life} (aws_iid_ttl)"
            )
        if request.host_id not in ("", document.host_id):
            problem = "is not valid when using the EC2 join method, the id of this instance is"
            raise request.refuse(f'Host ID "{request.host_id}" {problem} "{document.host_id}"')
        await self._find_rule(request, document)
        told = {"account": document.account_id, "region": document.region, "instance": document.instance_id}
        ops = await self._once(request, document, document.pending_time + life + LEEWAY)
        return Proven(attributes=told, host_id=document.host_id, ops=ops)

    def _read(self, request: Request) -> _Document:
        said = join_proofs.read(request.start.proof, join_proofs.Ec2Init).identity_document
        try:
            signed = cms.read(base64.b64decode("".join(said.split()), validate=True))
            signed.signer(self._roots.aws())
            document = msgspec.json.decode(signed.content, type=_Document)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise request.refuse("the identity document cannot be read") from None
        except TeleportError as error:
            if error.code != "PKI-CMS":
                raise
            raise request.refuse(error.what) from None
        known = _ACCOUNT.fullmatch(document.account_id) and _INSTANCE.fullmatch(document.instance_id)
        if not (known and _REGION.fullmatch(document.region) and document.pending_time.tzinfo):
            raise request.refuse("the identity document does not say account, instance, region and time")
        return document

    async def _find_rule(self, request: Request, document: _Document) -> None:
        """Raise AccessDenied unless there is a rule for the instance; where it names a role, AWS is asked too."""
        fitting = [rule for rule in request.token.spec.allow if _matches(rule, document)]
        if any(not rule.aws_role for rule in fitting):
            return
        for rule in fitting:
            found = await self._running(document.region, document.instance_id, rule.aws_role)
            if found == document.account_id:
                return
        raise request.no_rule(f"the instance {document.instance_id} of {document.account_id} in {document.region}")

    async def _once(self, request: Request, document: _Document, until: dt.datetime) -> Sequence[Op]:
        """Return the operations that make this the only join. Raises AccessDenied (AUTH-JOIN-PROOF) if it is not."""
        key = f"/ec2_joins/{document.host_id}"
        mark = Put(key, encode(_Mark(pending=document.pending_time)), until)
        if request.host_id == document.host_id:
            return (mark,)
        condition: Condition = Absent()
        try:
            held = await self._backend.get(key)
        except NotFound:
            held = None
        if held is not None:
            if document.pending_time <= decode(held.value, _Mark).pending:
                raise request.refuse("the identity document was used for a join already")
            condition = At(held.revision)
        there = key_of(info_of(Instance), document.host_id)
        if await self._exists(there):
            raise request.refuse(
                f"the instance is in the cluster already; once it is gone: tctl rm instance/{document.host_id}"
            )
        return (Put(key, mark.value, until, condition), Check(there, Absent()))

    async def _exists(self, key: str) -> bool:
        try:
            await self._backend.get(key)
        except NotFound:
            return False
        return True


def _matches(rule: AwsRule, document: _Document) -> bool:
    account = not rule.aws_account or rule.aws_account == document.account_id
    return account and (not rule.aws_regions or document.region in rule.aws_regions)
