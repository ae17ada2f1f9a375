"""`auth_service`: the cluster's authority, and how people prove who they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Duration, Secret, Switch
from teleport.model.address import Address, parse_addr
from teleport.model.config import static_token
from teleport.model.config.section import OFF, ON, Fault, Section, ServiceSection, proxy_mode, trying, unknown
from teleport.model.config.static_token import StaticToken
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfigSpec
from teleport.model.kinds.session_recording_config import MODES
from teleport.model.later import Later, Unacted, UnactedSwitch
from teleport.model.naming import check_cluster_name

AUTH_PORT = 3025
LISTEN = f"0.0.0.0:{AUTH_PORT}"
LISTENER_MODES = ("multiplex", "separate")

IDLE = Duration(600)
KEEP_ALIVE, KEEP_ALIVE_COUNT = Duration(300), 3
_SECOND_FACTOR = {"otp": True, "off": True, "webauthn": False, "on": False, "optional": False}
"""Words of `second_factor`, and whether this build acts on them."""
_SECOND_FACTORS = {"otp": True, "webauthn": False, "sso": False}
"""The same of the list `second_factors`."""
_OTHER_TYPES = ("github", "oidc", "saml")


class Authentication(Section, frozen=True, kw_only=True):
    """How people sign in. This build knows local users with passwords and authenticator apps (TOTP)."""

    type: str = "local"
    local_auth: Switch = ON
    second_factor: bool | str = ""
    """The older form: `otp` or `off`; YAML reads the bare word as a boolean."""
    second_factors: tuple[str, ...] | None = None
    """The newer form: a list of what is accepted. Without either, `otp`."""

    webauthn: Unacted = None
    passwordless: UnactedSwitch = None
    headless: UnactedSwitch = None
    connector_name: Annotated[Any, Later(("local",))] = None
    require_session_mfa: UnactedSwitch = None
    locking_mode: Annotated[Any, Later(("best_effort",))] = None
    default_session_ttl: Annotated[Any, Later((Duration(12 * 3600),))] = None
    device_trust: Annotated[Any, Later(({"mode": "off"}, {"mode": False}))] = None
    disconnect_expired_cert: Switch | None = None
    """The newer place of `auth_service.disconnect_expired_cert`; it counts where both are written."""
    message_of_the_day: Unacted = None
    stable_unix_user_config: Unacted = None
    signature_algorithm_suite: Annotated[Any, Later(("balanced-v1",))] = None
    hardware_key: Unacted = None
    u2f: Unacted = None

    @property
    def factor(self) -> str:
        """The word written as `second_factor`, empty where none is."""
        if isinstance(self.second_factor, bool):
            return "on" if self.second_factor else "off"
        return self.second_factor

    @property
    def required(self) -> Literal["otp", "off"]:
        """What everybody shows beside the password."""
        return "off" if self.factor == "off" else "otp"

    def faults(self) -> Iterator[Fault]:
        """Return ways to sign in that do not exist, or not yet."""
        if self.type in _OTHER_TYPES:
            yield Fault(("type",), _not_yet("type", self.type, "local"))
        elif self.type != "local":
            known = ", ".join(("local", *_OTHER_TYPES))
            yield Fault(
                ("type",),
                BadParameter("CONFIG-VALUE", what="type of authentication", value=ascii(self.type[:40]), known=known),
            )
        elif not self.local_auth:
            yield Fault(("local_auth",), BadParameter("CONFIG-NOBODY"))
        yield from self._factor_faults()

    def _factor_faults(self) -> Iterator[Fault]:
        listed = self.second_factors
        if self.factor:
            if listed is not None:
                yield Fault(("second_factors",), BadParameter("CONFIG-TWO-FACTORS"))
            yield from _unknown("second_factor", self.factor, _SECOND_FACTOR)
        if listed == ():
            yield Fault(("second_factors",), BadParameter("CONFIG-NO-FACTORS"))
        for index, word in enumerate(listed or ()):
            yield from _unknown("second_factors", word, _SECOND_FACTORS, index)


class AuthSection(ServiceSection, frozen=True, kw_only=True):
    """The Auth Service."""

    listen_addr: str = LISTEN
    cluster_name: str = ""
    """Fixed by the first start; empty: the host's name."""
    authentication: Authentication = Authentication()

    proxy_protocol: bool | str = ""
    """Whether a load balancer says who its clients are: `on`, `off`; empty: nobody has said."""
    proxy_listener_mode: str = ""
    """`multiplex`: one port for all that the proxy serves; `separate`: ports of their own. Empty: as the file's version
    says."""

    public_addr: Unacted = None
    tokens: tuple[Secret, ...] = ()
    """Static tokens: `node,proxy:secret`, or the path of a file with the secret. They never end, and only a change of
    this file removes them."""
    proxy_checks_host_keys: Switch | None = None
    """Whether servers at which the proxy arrives have to show a host certificate of the cluster; left out: what
    `session_recording_config` says. Like `session_recording` it is set at each start."""
    session_recording: bool | str = ""
    """`node`, `node-sync`, `proxy`, `proxy-sync` or `off`; YAML reads the bare word as a boolean. Empty: what
    `session_recording_config` says; otherwise that is set at each start, and `tctl` does not change it."""
    client_idle_timeout: Duration = Duration(0)
    """After what time an SSH connection ends in which no session moves data; 0 or `never`: not at all."""
    client_idle_timeout_message: str = ""
    """What the client is told then; empty: a text that names the time."""
    web_idle_timeout: Duration = IDLE
    """After what time a browser's session that is not used ends; 0: not before its time."""
    disconnect_expired_cert: Switch = OFF
    """Whether an SSH connection ends when the certificate does that it was made with."""
    keep_alive_interval: Duration = KEEP_ALIVE
    """How often a node asks a silent client whether it is there; 0: never."""
    keep_alive_count_max: int = KEEP_ALIVE_COUNT
    """Questions without an answer after which the client is taken for gone."""
    session_control_timeout: Unacted = None
    ssh_dial_timeout: Unacted = None
    routing_strategy: Annotated[Any, Later(("unambiguous_match",))] = None
    case_insensitive_routing: UnactedSwitch = None
    tunnel_strategy: Unacted = None
    message_of_the_day: Unacted = None
    license_file: Unacted = None
    load_all_cas: UnactedSwitch = None
    ca_key_params: Unacted = None
    access_monitoring: Unacted = None
    hosted_plugins: Unacted = None
    kubeconfig_file: Unacted = None

    @property
    def listen(self) -> Address:
        """Where the Auth Service listens."""
        return parse_addr(self.listen_addr, AUTH_PORT)

    @property
    def recording_mode(self) -> str:
        """The word written as `session_recording`, empty where none is."""
        if isinstance(self.session_recording, bool):
            return "on" if self.session_recording else "off"
        return self.session_recording

    @property
    def checks_host_keys(self) -> bool | None:
        """Whether `proxy_checks_host_keys` is on; None where it is not written."""
        return None if self.proxy_checks_host_keys is None else bool(self.proxy_checks_host_keys)

    @property
    def static_tokens(self) -> tuple[StaticToken, ...]:
        """The entries of `tokens`. Raises BadParameter (CONFIG-STATIC-TOKEN, KIND-TOKEN-*)."""
        return tuple(static_token.parse(entry.reveal()) for entry in self.tokens)

    @property
    def networking(self) -> ClusterNetworkingConfigSpec | None:
        """What is written of silent connections; None where nothing but defaults is."""
        said = ClusterNetworkingConfigSpec(
            client_idle_timeout=self.client_idle_timeout, client_idle_timeout_message=self.client_idle_timeout_message,
            keep_alive_interval=self.keep_alive_interval, keep_alive_count_max=self.keep_alive_count_max,
        )  # fmt: skip
        return None if said == ClusterNetworkingConfigSpec() else said

    @property
    def cuts_expired(self) -> bool:
        """Whether connections end with their certificates."""
        newer = self.authentication.disconnect_expired_cert
        return bool(self.disconnect_expired_cert if newer is None else newer)

    def faults(self) -> Iterator[Fault]:
        """Return addresses, names and numbers out of grammar, and what authentication says."""
        yield from trying(("listen_addr",), lambda: self.listen)
        yield from trying(("proxy_protocol",), proxy_mode, self.proxy_protocol)
        yield from _recording_fault(self.recording_mode)
        if self.proxy_listener_mode not in ("", *LISTENER_MODES):
            wrong = unknown("listener mode", self.proxy_listener_mode, ", ".join(LISTENER_MODES))
            yield Fault(("proxy_listener_mode",), wrong)
        for index, entry in enumerate(self.tokens):
            yield from trying(("tokens", index), static_token.parse, entry.reveal())
        if self.cluster_name:
            yield from trying(("cluster_name",), check_cluster_name, self.cluster_name)
        for key in ("web_idle_timeout", "client_idle_timeout", "keep_alive_interval"):
            if (value := getattr(self, key)) < 0:
                yield Fault(
                    (key,), BadParameter("CONFIG-VALUE", what="time", value=value, known="0, 10m, 1h and so on")
                )
        if self.keep_alive_count_max < 1:
            wrong = BadParameter(
                "CONFIG-VALUE", what="number", value=self.keep_alive_count_max, known="1, 2, 3 and so on"
            )
            yield Fault(("keep_alive_count_max",), wrong)
        for path, error in self.authentication.faults():
            yield Fault(("authentication", *path), error)


def _recording_fault(mode: str) -> Iterator[Fault]:
    if mode and mode not in MODES:
        yield Fault(("session_recording",), unknown("mode of session recording", mode, ", ".join(MODES)))


def _unknown(key: str, word: str, words: Mapping[str, bool], *index: int) -> Iterator[Fault]:
    """Yield what is wrong with one word for a second factor."""
    if word not in words:
        value, known = ascii(word[:40]), ", ".join(words)
        yield Fault((key, *index), BadParameter("CONFIG-VALUE", what="second factor", value=value, known=known))
    elif not words[word]:
        supported = ", ".join(known for known, acted in words.items() if acted)
        yield Fault((key, *index), _not_yet(key, word, supported))


def _not_yet(key: str, value: str, supported: str) -> NotSupported:
    key = f"auth_service.authentication.{key}: {value}"
    return NotSupported("CONFIG-NOT-SUPPORTED", key=key, supported=supported)
