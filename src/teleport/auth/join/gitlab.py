"""Join method gitlab: a job of GitLab CI shows the id token that GitLab signed for it and for this cluster."""

from __future__ import annotations

from teleport.auth.join.oidc import IdTokenFacts
from teleport.model.token_methods.gitlab import GLOBS

FACTS = IdTokenFacts(
    block="gitlab",
    told=("sub", "project_path", "namespace_path", "ref", "ref_type", "environment", "user_login", "job_id"),
    globs=GLOBS,
    subject=("the job of", "project_path"),
)
