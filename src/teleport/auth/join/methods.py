"""The table of join methods."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.auth.join import github, gitlab, token
from teleport.auth.join.azure import AzureJoin
from teleport.auth.join.bound_keypair import BoundKeypairJoin
from teleport.auth.join.clouds import Clouds
from teleport.auth.join.ec2 import Ec2Join
from teleport.auth.join.ec2_running import Running
from teleport.auth.join.gcp import GcpJoin
from teleport.auth.join.iam import IamJoin
from teleport.auth.join.join_state import StateKeeper
from teleport.auth.join.kubernetes import KubernetesJoin
from teleport.auth.join.method import Prove
from teleport.auth.join.oidc import IdTokenJoin, Issuers
from teleport.auth.join.tpm import TpmJoin
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.net.fetch import Fetch
from teleport.store.backend import Backend
from teleport.store.resources import Resources


def table(
    backend: Backend, resources: Resources, states: StateKeeper, fetch: Fetch, clouds: Clouds, clock: Clock,
    entropy: Entropy, cluster: str,
) -> Mapping[str, Prove]:  # fmt: skip
    """Return every join method of this build by name. `model.kinds.token` refuses tokens of others.

    `states` signs what clients keep, `fetch` asks issuers and clouds, `clouds` is what this machine knows of them."""
    issuers, roots = Issuers(fetch, clock), clouds.roots
    return {
        "token": token.prove,
        "azure": AzureJoin(issuers, roots, fetch, clock, entropy),
        "bound_keypair": BoundKeypairJoin(resources, states, clock, entropy, cluster),
        "ec2": Ec2Join(backend, roots, Running(fetch, clouds.credentials, clock), clock),
        "gcp": GcpJoin(issuers),
        "github": IdTokenJoin(github.FACTS, issuers, cluster),
        "gitlab": IdTokenJoin(gitlab.FACTS, issuers, cluster),
        "iam": IamJoin(fetch, entropy),
        "kubernetes": KubernetesJoin(issuers, cluster, clouds.reviewer),
        "tpm": TpmJoin(clock, entropy),
    }
