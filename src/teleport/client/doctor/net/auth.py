"""Whether the Auth Service answers, through the proxy or straight: what `tctl`, `tsh ls` and agents need."""

from __future__ import annotations

import asyncio

from teleport.api.client import AuthClient, over_stream
from teleport.base.errors import TeleportError
from teleport.client.cluster import auth_protocol
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.net.stream import Stream
from teleport.pki.tls_settings import public_context
from teleport.pki.x509 import CLUSTER_NAME


async def run(trip: Trip) -> str | Finding:
    """Calls the one method that everybody may call. Without a sign-in nobody proves who answers."""
    if not trip.cluster and not trip.is_auth:
        return Finding("auth", "skip", "needs web: the name of the cluster is not known")
    alpn = ("h2",) if not trip.cluster else (auth_protocol(trip.cluster),)
    context = trip.signed_in or public_context(insecure=True)
    way = trip.way()

    async def dial() -> Stream:
        return await way.open(alpn, context, CLUSTER_NAME)

    began = asyncio.get_running_loop().time()
    try:
        async with AuthClient(over_stream(dial)) as client:
            cluster, version = await client.ping()
    except TeleportError as error:
        return _unanswered(trip, error)
    took = asyncio.get_running_loop().time() - began
    how = "proven by the cluster's authorities" if trip.signed_in else "not proven: sign in to have it checked"
    return f"the Auth Service of {cluster}, version {version}, answers in {took * 1000:.0f} ms; {how}"


def _unanswered(trip: Trip, error: TeleportError) -> Finding:
    found = Finding.of("auth", error)
    if not trip.found or trip.balancer:
        return found
    return Finding(
        "auth", "fail", found.evidence, code=found.code, fix=found.fix,
        cause=f"the web pages work, this does not: a working web page proves nothing here. {found.cause}".strip(),
    )  # fmt: skip
