"""The table of join methods."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.auth.join import github, gitlab, token
from teleport.auth.join.bound_keypair import BoundKeypairJoin
from teleport.auth.join.gcp import GcpJoin
from teleport.auth.join.iam import IamJoin
from teleport.auth.join.join_state import StateKeeper
from teleport.auth.join.kubernetes import KubernetesJoin
from teleport.auth.join.method import Prove
from teleport.auth.join.oidc import IdTokenJoin, Issuers
from teleport.auth.join.token_review import Reviewer
from teleport.auth.join.tpm import TpmJoin
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.net.fetch import Fetch
from teleport.store.resources import Resources


def table(
    resources: Resources, states: StateKeeper, fetch: Fetch, reviewer: Reviewer | None, clock: Clock, entropy: Entropy,
    cluster: str,
) -> Mapping[str, Prove]:  # fmt: skip
    """Return every join method of this build by name. `model.kinds.token` refuses tokens of others.

    `states` signs what clients keep, `fetch` asks issuers and clouds, `reviewer` the Kubernetes cluster in which the
    Auth Service runs, if in any."""
    issuers = Issuers(fetch, clock)
    return {
        "token": token.prove,
        "bound_keypair": BoundKeypairJoin(resources, states, clock, entropy, cluster),
        "gcp": GcpJoin(issuers),
        "github": IdTokenJoin(github.FACTS, issuers, cluster),
        "gitlab": IdTokenJoin(gitlab.FACTS, issuers, cluster),
        "iam": IamJoin(fetch, entropy),
        "kubernetes": KubernetesJoin(issuers, cluster, reviewer),
        "tpm": TpmJoin(clock, entropy),
    }
