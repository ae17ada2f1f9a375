"""What tokens of each join method say of who may join: one file each, checked when a token is written."""

VARIABLES = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "AWS_ACCESS_KEY_ID",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_ID", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
    "KUBERNETES_TOKEN_PATH", "TBOT_GITLAB_JWT", "TBOT_REGISTRATION_SECRET", "TELEPORT_AWS_CERTIFICATES",
    "TELEPORT_AZURE_ROOTS", "TELEPORT_TPM",
)  # fmt: skip
"""Variables of the environment in which proofs of join methods lie, or that say where they do."""
