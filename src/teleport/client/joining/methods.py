"""The join methods that an agent or a bot may be told to use, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import NotSupported
from teleport.client.joining import iam, id_token
from teleport.client.joining.azure import AzureMethod
from teleport.client.joining.bound_keypair import BoundKeypairMethod
from teleport.client.joining.ec2 import Ec2Method
from teleport.client.joining.join import Method
from teleport.client.joining.token import TokenMethod
from teleport.client.joining.tpm import VARIABLE as TPM
from teleport.client.joining.tpm import TpmMethod
from teleport.net.fetch import SystemFetch
from teleport.net.tpm_device import DEVICE, TpmDevice

SECRET = "TBOT_REGISTRATION_SECRET"  # noqa: S105 - the name of a variable
STATIC_KEY = "TBOT_BOUND_KEYPAIR_STATIC_KEY"
"""Variable with a key of bound_keypair that stays as it is: PEM in base64."""


def method(
    name: str, environment: Mapping[str, str], disk: Disk, folder: str, clock: Clock, entropy: Entropy
) -> Method:  # fmt: skip
    """Return the join method of this name, for this machine; `folder` is where one may keep what is its own.

    Raises NotSupported (CLIENT-JOIN-METHOD)."""
    plain = SystemFetch(plain=True)
    makers: Mapping[str, Callable[[], Method]] = {
        "token": TokenMethod,
        "azure": lambda: AzureMethod(
            plain,
            client_id=environment.get("AZURE_CLIENT_ID", ""),
            address=environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", ""),
        ),
        "bound_keypair": lambda: BoundKeypairMethod(
            disk, folder, entropy, environment.get(SECRET, ""), environment.get(STATIC_KEY, "")
        ),
        "ec2": lambda: Ec2Method(plain, environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")),
        "gcp": lambda: id_token.gcp(plain),
        "github": lambda: id_token.github(environment, SystemFetch()),
        "gitlab": lambda: id_token.gitlab(environment),
        "iam": lambda: iam.IamMethod(iam.credentials(environment, plain), clock, environment.get("AWS_REGION", "")),
        "kubernetes": lambda: id_token.kubernetes(environment, disk),
        "tpm": lambda: TpmMethod(lambda: TpmDevice(environment.get(TPM) or DEVICE), entropy),
    }
    if name not in makers:
        raise NotSupported("CLIENT-JOIN-METHOD", method=ascii(name[:40])[1:-1], known=", ".join(makers))
    return makers[name]()
