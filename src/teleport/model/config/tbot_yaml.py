"""tbot.yaml: what a bot is to do."""

from __future__ import annotations

from teleport.base.struct import Duration, Struct, Switch
from teleport.model.config.section import Section
from teleport.model.config.tbot_destinations import DestinationSection, DirectoryDestination
from teleport.model.config.tbot_services import ServiceEntry

DEFAULT_STORAGE = "/var/lib/teleport/bot"


class AzureOnboarding(Struct, frozen=True, kw_only=True):
    """Joining as an Azure machine."""

    client_id: str = ""


class GitlabOnboarding(Struct, frozen=True, kw_only=True):
    """Joining as a job of GitLab."""

    token_env_var_name: str = "TBOT_GITLAB_JWT"  # noqa: S105 - the name of a variable


class KubernetesOnboarding(Struct, frozen=True, kw_only=True):
    """Joining as a pod."""

    token_path: str = ""


class BoundKeypairOnboarding(Struct, frozen=True, kw_only=True):
    """Joining with a key of the machine's own."""

    registration_secret: str = ""
    registration_secret_path: str = ""
    static_key_path: str = ""


class Onboarding(Section, frozen=True, kw_only=True):
    """How the bot joins the first time."""

    token: str = ""
    """A token's name or secret, or the absolute path of a file with it, which is read when it is needed."""
    join_method: str = ""
    """Empty: `token`."""
    ca_pins: tuple[str, ...] = ()
    ca_path: str = ""
    azure: AzureOnboarding = AzureOnboarding()
    gitlab: GitlabOnboarding = GitlabOnboarding()
    kubernetes: KubernetesOnboarding = KubernetesOnboarding()
    bound_keypair: BoundKeypairOnboarding = BoundKeypairOnboarding()


class TbotYaml(Section, frozen=True, kw_only=True):
    """The whole file, version 2."""

    version: str = "v2"
    debug: Switch = Switch(False)
    auth_server: str = ""
    proxy_server: str = ""
    credential_ttl: Duration = Duration(3600)
    renewal_interval: Duration = Duration(1200)
    oneshot: Switch = Switch(False)
    insecure: Switch = Switch(False)
    diag_addr: str = ""
    pid_file: str = ""
    onboarding: Onboarding = Onboarding()
    storage: DestinationSection = DirectoryDestination(path=DEFAULT_STORAGE)
    services: tuple[ServiceEntry, ...] = ()
    """Those of `outputs`, the older name of the key, too."""
