"""Join method github: a run of GitHub Actions shows the token that GitHub signed for it and for this cluster."""

from __future__ import annotations

from teleport.auth.join.oidc import IdTokenFacts

FACTS = IdTokenFacts(
    block="github",
    told=("sub", "repository", "repository_owner", "workflow", "environment", "actor", "ref", "ref_type", "run_id"),
    subject=("the run of", "repository"),
)
