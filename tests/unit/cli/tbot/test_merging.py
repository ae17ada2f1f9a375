"""The command line over a file."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from teleport.cli.tbot.merging import HIDDEN, NAMES, Override, merge
from teleport.model.config.tbot_destinations import DirectoryDestination, MemoryDestination
from teleport.model.config.tbot_services import IdentityOutput
from teleport.model.config.tbot_yaml import TbotYaml, load

FILE = load(
    """\
version: v2
auth_server: auth.example.com:3025
credential_ttl: 2h
onboarding: {token: old-secret, join_method: iam, ca_pins: [/pin], gitlab: {token_env_var_name: X}}
storage: {directory: /srv/bot}
services:
- {type: identity, destination: {directory: /a}}
""",
    "t",
)
B = IdentityOutput(destination=DirectoryDestination(path="/b"))


def merged(config: TbotYaml = FILE, **flags: Any) -> tuple[TbotYaml, tuple[Override, ...]]:
    assert set(flags) <= set(NAMES)
    return merge(config, flags, None, replace=True)


def test_what_is_not_said_changes_nothing() -> None:
    assert merged() == (FILE, ())
    assert merged(token="", ca_pins=(), debug=False, storage="") == (FILE, ())


def test_the_command_line_wins_and_says_so() -> None:
    config, told = merged(
        credential_ttl="30m", renewal_interval="5m", oneshot=True, diag_addr=":1", storage="memory://"
    )
    assert (config.credential_ttl, config.renewal_interval) == (Duration(1800), Duration(300))
    assert (bool(config.oneshot), config.diag_addr, config.storage) == (True, ":1", MemoryDestination())
    assert told == (
        Override("--certificate-ttl", "2h0m0s", "30m0s"),
        Override("--storage", "directory: /srv/bot", "memory"),
    ), "what the file leaves at its default is not replaced"


def test_the_same_value_replaces_nothing() -> None:
    assert merged(credential_ttl="120m", auth_server="auth.example.com:3025")[1] == ()


def test_one_server_is_meant() -> None:
    config, told = merged(proxy_server="p:443")
    assert (config.auth_server, config.proxy_server) == ("", "p:443")
    assert told == (Override("--auth-server", "auth.example.com:3025", ""),)


@pytest.mark.parametrize("flag", [{"token": "new-secret"}, {"join_method": "token"}, {"ca_pins": ("sha256:x",)}])
def test_each_of_three_flags_replaces_the_whole_onboarding(flag: dict[str, Any]) -> None:
    config, told = merged(**flag)
    wanted: dict[str, Any] = {"token": "", "join_method": "", "ca_pins": (), **flag}
    assert {name: getattr(config.onboarding, name) for name in wanted} == wanted
    assert config.onboarding.gitlab.token_env_var_name == "TBOT_GITLAB_JWT"
    assert [each.flag for each in told] == ["--token", "--join-method", "--ca-pin"]
    assert told[0].config_value == HIDDEN
    assert "secret" not in str(told)


def test_flags_of_a_bound_keypair_leave_the_rest() -> None:
    config, told = merged(registration_secret="s1")
    assert config.onboarding.join_method == "iam"
    assert (config.onboarding.bound_keypair.registration_secret, told) == ("s1", ())
    again, told = merged(config, registration_secret="s2", static_key_path="/k")
    assert again.onboarding.bound_keypair.static_key_path == "/k"
    assert told == (Override("--registration-secret", HIDDEN, HIDDEN),)


def test_an_output_of_the_command_line_is_added_or_is_the_only_one() -> None:
    config, told = merge(FILE, {}, B, replace=False)
    assert (config.services, told) == ((*FILE.services, B), ())
    config, told = merge(FILE, {}, B, replace=True)
    assert (config.services, told) == ((B,), (Override("--destination-dir", "directory: /a", "directory: /b"),))
    assert merge(TbotYaml(), {}, B, replace=True)[1] == ()


@pytest.mark.parametrize("flag", [{"credential_ttl": "soon"}, {"storage": "ftp://x"}])
def test_wrong_words(flag: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        merged(**flag)
