"""Join method azure: what Azure attests, the token of the identity, and every way in which they prove nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from teleport.api.join_proofs import AzureSolution, Challenge, read
from teleport.client.joining.azure import AzureMethod
from tests.support.auth_cluster import Cluster, run
from tests.support.azure import ISSUING, MACHINE, OTHER_ROOT, PUBLISHED, ROOT, SIGNER, SUBSCRIPTION, VM, Cloud
from tests.support.cms import FROM, Authority
from tests.support.joiner import Shows, join, make, refused

RULES = [{"subscription": "other"}, {"subscription": SUBSCRIPTION, "resource_groups": ["rack6", "RACK7"]}]
FETCHED = PUBLISHED.replace("http:", "https:")


async def stage(cluster: Cluster, rules: Any = RULES) -> Cloud:
    cloud = Cloud(cluster.clock.now())
    cluster.fetch = cloud
    cluster.environment["TELEPORT_AZURE_ROOTS"] = "/azure.pem"
    cluster.disk.write("/azure.pem", ROOT.pem.encode())
    await make(cluster, "vms", join_method="azure", azure={"allow": rules})
    return cloud


@pytest.mark.parametrize("carried", [[SIGNER], [SIGNER, ISSUING]])
@pytest.mark.parametrize("claim", ["xms_mirid", "xms_az_rid"])
def test_a_machine_joins(claim: str, carried: list[Authority]) -> None:
    async def story(cluster: Cluster) -> None:
        cloud = await stage(cluster)
        cloud.claims, cloud.carried = {claim: MACHINE}, carried
        assert (await join(cluster, AzureMethod(cloud), token="vms")).host_id
        (event,) = await cluster.events("instance.join")
        assert event["attributes"] == {"subscription": SUBSCRIPTION, "resource_group": "Rack7", "vm_id": VM}
        assert (FETCHED in cloud.asked) is (carried == [SIGNER])

    run(story)


def test_a_rule_without_groups_is_for_the_subscription() -> None:
    async def story(cluster: Cluster) -> None:
        cloud = await stage(cluster, [{"subscription": SUBSCRIPTION}])
        assert (await join(cluster, AzureMethod(cloud), token="vms")).host_id

    run(story)


def changed(name: str, value: Any) -> Callable[[Cloud], object]:
    return lambda cloud: setattr(cloud, name, value)


def signed_by(signer: Authority, *carried: Authority) -> Callable[[Cloud], object]:
    def change(cloud: Cloud) -> None:
        cloud.signer, cloud.carried = signer, [signer, *carried]

    return change


EVIL = Authority("evil.example.com", ISSUING, ca=False)
ALONE = Authority("metadata.azure.com")
OLD = Authority("metadata.azure.com", ISSUING, ca=False, until=FROM + dt.timedelta(days=1))
BELOW_A_MACHINE = Authority("metadata.azure.com", SIGNER, ca=False)
ELSEWHERE = Authority("metadata.azure.com", ISSUING, ca=False, fetched_from="http://evil.example.com/issuing.crt")
ODD = Authority("metadata.azure.com", ISSUING, ca=False, fetched_from="http://www.microsoft.com/?x")
GROUP = MACHINE.replace("Rack7", "Rack8")
IDENTITY = MACHINE.replace("Compute/virtualMachines", "ManagedIdentity/userAssignedIdentities")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (changed("claims", {"xms_mirid": GROUP}), "AUTH-JOIN-RULES", f"instance {VM} did not match any allow rules"),
        (changed("document", {"nonce": "stale"}), "AUTH-JOIN-PROOF", "challenge is missing or does not match"),
        (changed("document", {"nonce": None}), "AUTH-JOIN-PROOF", "cannot be read"),
        (changed("document", {"subscriptionId": VM}), "AUTH-JOIN-PROOF", "different subscriptions"),
        (changed("document", {"vmId": "x"}), "AUTH-JOIN-PROOF", "does not say"),
        (changed("document", {"timeStamp": {"createdOn": "", "expiresOn": "01/01/29 00:00:00 -0000"}}),
         "AUTH-JOIN-PROOF", "ended at"),
        (changed("document", {"timeStamp": {"createdOn": "", "expiresOn": "soon"}}), "AUTH-JOIN-PROOF", "be read"),
        (changed("carried", []), "AUTH-JOIN-PROOF", "signature is by none"),
        (signed_by(EVIL), "AUTH-JOIN-PROOF", "signed by 'evil.example.com'"),
        (signed_by(ALONE), "AUTH-JOIN-PROOF", "not certified"), (signed_by(OLD), "AUTH-JOIN-PROOF", "not certified"),
        (signed_by(BELOW_A_MACHINE, SIGNER, ISSUING), "AUTH-JOIN-PROOF", "not certified"),
        (signed_by(ELSEWHERE), "AUTH-JOIN-PROOF", "not certified"),
        (signed_by(ODD), "AUTH-JOIN-PROOF", "not certified"),
        (changed("published", {}), "AUTH-JOIN-PROOF", "not certified"),
        (changed("published", {FETCHED: b"?"}), "AUTH-JOIN-PROOF", "not certified"),
        (changed("published", {FETCHED: OTHER_ROOT.der}), "AUTH-JOIN-PROOF", "not certified"),
        (changed("published", {FETCHED: SIGNER.der}), "AUTH-JOIN-PROOF", "not certified"),
        (changed("claims", {"xms_mirid": IDENTITY}), "AUTH-JOIN-PROOF", "not that of a machine"),
        (changed("claims", {"xms_mirid": 5}), "AUTH-JOIN-PROOF", "not that of a machine"),
        (changed("claims", {"tid": "common"}), "AUTH-JOIN-PROOF", "of which tenant"),
        (changed("claims", {"tid": VM}), "AUTH-JOIN-PROOF", "issuer"),
        (changed("claims", {"aud": "https://graph.microsoft.com/"}), "AUTH-JOIN-PROOF", "audience"),
        (changed("claims", {"exp": 1}), "AUTH-JOIN-PROOF", "expired"),
    ],
)  # fmt: skip
def test_machines_that_do_not(change: Callable[[Cloud], object], code: str, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        cloud = await stage(cluster)
        change(cloud)
        error = await refused(cluster, AzureMethod(cloud), token="vms")
        assert (error.code, words in error.what) == (code, True), error.what
        assert not any("evil" in url for url in cloud.asked)
        (event,) = await cluster.events("instance.join")
        assert (event["success"], event["method"]) == (False, "azure")

    run(story)


def test_what_cannot_be_read_and_what_was_said_before() -> None:
    async def story(cluster: Cluster) -> None:
        cloud = await stage(cluster)
        kept: list[AzureSolution] = []

        def solve(challenge: bytes) -> AzureSolution:
            nonce = read(challenge, Challenge).challenge
            kept.append(AzureSolution(attested_data=cloud.attested(nonce), access_token=cloud.token()))
            return kept[0]

        assert (await join(cluster, Shows("azure", b"", solve), token="vms")).host_id
        assert "does not match" in (await refused(cluster, Shows("azure", b"", solve), token="vms")).what
        nothing = Shows("azure", b"", lambda challenge: AzureSolution(attested_data="?", access_token=""))
        assert "cannot be read" in (await refused(cluster, nothing, token="vms")).what

        def half(challenge: bytes) -> AzureSolution:
            nonce = read(challenge, Challenge).challenge
            return AzureSolution(attested_data=cloud.attested(nonce), access_token="a.b")

        assert (await refused(cluster, Shows("azure", b"", half), token="vms")).code == "AUTH-JOIN-PROOF"

    run(story)


def test_the_roots_are_those_of_the_system_that_azure_uses() -> None:
    async def story(cluster: Cluster) -> None:
        cloud = await stage(cluster)
        del cluster.environment["TELEPORT_AZURE_ROOTS"]
        error = await refused(cluster, AzureMethod(cloud), token="vms")
        assert (error.code, "no file with public roots" in error.what) == ("AUTH-JOIN-ROOTS", True)
        other = Authority("Some Other Root")
        cluster.disk.write("/roots", f"{other.pem}{ROOT.pem}".encode())
        assert (await join(cluster, AzureMethod(cloud), token="vms")).host_id
        cloud.signer = Authority("metadata.azure.com", other, ca=False)
        cloud.carried = [cloud.signer]
        assert "not certified" in (await refused(cluster, AzureMethod(cloud), token="vms")).what

    run(story)
