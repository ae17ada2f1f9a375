"""Join method azure: a machine shows what Azure attests of it, and an access token of its managed identity.

The attested document repeats our challenge, so it was made for this conversation. It says in which subscription the
machine is, but not in which resource group: that says the token, of a machine in the same subscription. Tokens of
identities that are no machine's own do not say it, and are refused.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from teleport.api import join_proofs
from teleport.auth.join.cloud_roots import CloudRoots, common_name
from teleport.auth.join.method import Proven, Request
from teleport.auth.join.oidc import Issuers
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, TeleportError
from teleport.model.token_methods.azure import AzureRule
from teleport.net.fetch import Fetch
from teleport.pki import chain, cms, jws
from teleport.pki.x509 import parse

AUDIENCE = "https://management.azure.com/"
ISSUER = "https://sts.windows.net/{tenant}/"
FETCHED_FROM = ("www.microsoft.com", "caissuers.microsoft.com", "cacerts.digicert.com")
"""Hosts that publish the certificates between those of machines and the roots."""
_SIGNER = re.compile(r"([a-z0-9-]{1,40}\.)?metadata\.(azure\.com|azure\.us|azure\.cn|microsoftazure\.de)")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MACHINE = re.compile(
    r"/subscriptions/(?P<subscription>[^/]{1,80})/resourcegroups/(?P<group>[^/]{1,90})/providers/"
    r"microsoft\.compute/(virtualmachines/[^/]{1,80}|virtualmachinescalesets/[^/]{1,80}(/virtualmachines/[^/]{1,80})?)",
    re.IGNORECASE,
)
_TIME = "%m/%d/%y %H:%M:%S %z"


class _Times(msgspec.Struct, rename="camel"):
    created_on: str
    expires_on: str


class _Document(msgspec.Struct, rename="camel"):
    nonce: str
    subscription_id: str
    vm_id: str
    time_stamp: _Times


class AzureJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, issuers: Issuers, roots: CloudRoots, fetch: Fetch, clock: Clock, entropy: Entropy) -> None:
        self._issuers = issuers
        self._roots = roots
        self._fetch = fetch
        self._clock = clock
        self._entropy = entropy

    async def __call__(self, request: Request) -> Proven:
        """Put a challenge, verify document and token, and find a rule for the machine."""
        wanted = request.token.spec.azure
        assert wanted is not None  # noqa: S101 - `Token.check` demands it
        challenge = self._entropy.token(16).hex()  # Azure takes 32 letters and digits
        solution = await request.ask(join_proofs.write(join_proofs.Challenge(challenge=challenge)))
        said = join_proofs.read(solution, join_proofs.AzureSolution)
        document = await self._attested(request, said.attested_data, challenge)
        subscription, group = await self._machine(request, said.access_token)
        if subscription != document.subscription_id:
            raise request.refuse("the attested document and the access token are of different subscriptions")
        if not any(_matches(rule, subscription, group) for rule in wanted.allow):
            raise request.no_rule(f"instance {document.vm_id}")
        return Proven(attributes={"subscription": subscription, "resource_group": group, "vm_id": document.vm_id})

    async def _attested(self, request: Request, said: str, challenge: str) -> _Document:
        """Return the document, if Azure has signed it for this challenge. Raises AccessDenied (AUTH-JOIN-PROOF)."""
        roots = self._roots.azure()
        try:
            signed = cms.read(base64.b64decode(said, validate=True))
            signer = signed.signer(signed.certificates)
            document = msgspec.json.decode(signed.content, type=_Document)
            ends = dt.datetime.strptime(document.time_stamp.expires_on, _TIME)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise request.refuse("the attested document cannot be read") from None
        except BadParameter as error:
            raise request.refuse(error.what) from None
        if not _SIGNER.fullmatch(common_name(signer)):
            raise request.refuse(f"the attested document is signed by {common_name(signer)[:80]!r} and not by Azure")
        if not await self._leads(signer, signed.certificates, roots):
            raise request.refuse("who signed the attested document is not certified by a root of Azure")
        if not hmac.compare_digest(document.nonce.encode(), challenge.encode()):
            raise request.refuse("challenge is missing or does not match")
        if self._clock.now() >= ends:
            raise request.refuse(f"the attested document ended at {ends.isoformat()}")
        if not (_ID.fullmatch(document.subscription_id) and _ID.fullmatch(document.vm_id)):
            raise request.refuse("the attested document does not say subscription and machine")
        return document

    async def _leads(
        self, signer: x509.Certificate, carried: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
    ) -> bool:
        """Whether a root of Azure vouches for the signer. What is missing between is fetched, from known hosts."""
        now, last = self._clock.now(), signer
        between = [each for each in carried if each != signer]
        for _ in range(chain.LONGEST + 1):
            if chain.leads(signer, between, roots, now=now):
                return True
            fetched = await self._issuer(last)
            if fetched is None:
                return False
            between.append(fetched)
            last = fetched
        return False

    async def _issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        """Fetch the certificate of the issuer, which only counts for what its own issuer has signed."""
        url = _place_of_issuer(certificate)
        if not url:
            return None
        try:
            answer = await self._fetch(url)
            return parse(answer.body) if answer.status == 200 else None
        except TeleportError:
            return None

    async def _machine(self, request: Request, said: str) -> tuple[str, str]:
        """Return subscription and resource group of the machine whose token it is. Raises AccessDenied."""
        try:
            tenant = jws.read(said.strip()).claims.get("tid")
        except TeleportError as error:
            raise request.refuse(error.what) from None
        if not isinstance(tenant, str) or not _ID.fullmatch(tenant):
            raise request.refuse("the access token does not say of which tenant it is")
        issuer = ISSUER.format(tenant=tenant)
        claims = await self._issuers.verified(request, said, issuer=issuer, audience=AUDIENCE)
        found = _MACHINE.fullmatch(_resource(claims))
        if found is None:
            raise request.refuse("the access token is not that of a machine: give it a system-assigned identity")
        return found["subscription"], found["group"]


def _place_of_issuer(certificate: x509.Certificate) -> str:
    """Return where the certificate of the issuer is published; empty if at no host that is known."""
    try:
        told = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    for each in told:
        place = each.access_location
        if each.access_method != AuthorityInformationAccessOID.CA_ISSUERS:
            continue
        if isinstance(place, x509.UniformResourceIdentifier):
            host, _, path = place.value.partition("://")[2].partition("/")
            if host in FETCHED_FROM and re.fullmatch(r"[A-Za-z0-9%._/-]{1,200}", path):
                return f"https://{host}/{path}"
    return ""


def _resource(claims: Mapping[str, Any]) -> str:
    """Return the machine that a token is of: its own, or the one on which an identity of its own was used."""
    found = claims.get("xms_az_rid") or claims.get("xms_mirid")
    return found if isinstance(found, str) else ""


def _matches(rule: AzureRule, subscription: str, group: str) -> bool:
    groups = {each.lower() for each in rule.resource_groups}
    return rule.subscription == subscription and (not groups or group.lower() in groups)
