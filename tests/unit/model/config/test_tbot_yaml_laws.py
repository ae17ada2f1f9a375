"""Any text is a configuration or one of our errors, and what is written reads back."""

from __future__ import annotations

import contextlib
from typing import Any

import yaml as pyyaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import Duration, Switch
from teleport.model.config import tbot_destinations as destinations
from teleport.model.config import tbot_forms as forms
from teleport.model.config import tbot_services as services
from teleport.model.config.tbot_yaml import BoundKeypairOnboarding, Onboarding, TbotYaml, dump, read

WORDS = st.sampled_from(
    ["version", "v1", "v2", "services", "outputs", "destinations", "type", "identity", "destination", "directory",
     "memory", "path", "storage", "onboarding", "token", "bound_keypair", "static_private_key_path", "certificate_ttl",
     "ssh-multiplexer", "kubernetes/v2", "selectors", "configs", "ssh_host_cert", "principals", "database", "service",
     "spiffe-svid", "kubernetes_secret", "name", "readers", "acls", "off", "roles", "app", "1h", "/a"],
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**9) | WORDS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=14,
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from([*forms.SERVICES]) | VALUES},
        optional={"destination": VALUES, "roles": VALUES, "name": VALUES, "selectors": VALUES, "principals": VALUES},
    )
    | VALUES,
    max_size=3,
)
FILES = st.fixed_dictionaries(
    {"version": st.sampled_from(["v1", "v2"])},
    optional={"services": ENTRIES, "outputs": ENTRIES, "storage": VALUES, "onboarding": VALUES, "destinations": VALUES,
              "certificate_ttl": VALUES, "diag_addr": VALUES},
)  # fmt: skip


@given(FILES | VALUES)
@settings(max_examples=400, deadline=None)
def test_any_data_is_a_configuration_or_one_of_our_errors(value: Any) -> None:
    text = pyyaml.safe_dump(value)
    with contextlib.suppress(BadParameter, NotSupported):
        found = read(text, "f")
        assert read(dump(found.config), "again").config == found.config


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_too(text: str) -> None:
    with contextlib.suppress(BadParameter, NotSupported):
        read(text, "f")


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
TIMES = st.integers(1, 10**6).map(Duration)
SWITCHES = st.booleans().map(Switch)
READERS = st.builds(destinations.Reader, user=TEXT | st.integers(0, 10**6)) | st.builds(destinations.Reader, group=TEXT)
PLACES = (
    st.builds(destinations.DirectoryDestination, path=TEXT, acls=st.sampled_from(["", "try", "off"]),
              readers=st.lists(READERS, max_size=2).map(tuple))
    | st.just(destinations.MemoryDestination())
    | st.builds(destinations.KubernetesSecretDestination, name=TEXT, namespace=TEXT,
                labels=st.dictionaries(TEXT, TEXT, max_size=2))
)  # fmt: skip
SELECTORS = st.builds(services.KubernetesSelector, name=TEXT, default_namespace=TEXT)
COMMON = {"credential_ttl": st.none() | TIMES, "renewal_interval": st.none() | TIMES}
SERVICES = st.one_of(
    st.builds(services.IdentityOutput, destination=PLACES, ssh_config=SWITCHES, cluster=TEXT, **COMMON),
    st.builds(services.ApplicationOutput, destination=PLACES, app_name=TEXT, roles=st.lists(TEXT).map(tuple)),
    st.builds(services.DatabaseOutput, destination=PLACES, service=TEXT, format=st.sampled_from(["", "mongo"])),
    st.builds(services.KubernetesOutput, destination=PLACES, kubernetes_cluster=TEXT, disable_exec_plugin=SWITCHES),
    st.builds(services.KubernetesV2Output, destination=PLACES, selectors=st.lists(SELECTORS, min_size=1).map(tuple)),
    st.builds(services.SshHostOutput, destination=PLACES, principals=st.lists(TEXT, min_size=1).map(tuple)),
    st.builds(services.SshMultiplexer, destination=st.builds(destinations.DirectoryDestination, path=TEXT)),
)
CONFIGS = st.builds(
    TbotYaml,
    proxy_server=st.sampled_from(["", "t.example.com:443"]),
    debug=SWITCHES,
    credential_ttl=TIMES,
    onboarding=st.builds(Onboarding, token=TEXT, bound_keypair=st.builds(BoundKeypairOnboarding, static_key_path=TEXT)),
    storage=PLACES,
    services=st.lists(SERVICES, max_size=3).map(tuple),
)


@given(CONFIGS)
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back(config: TbotYaml) -> None:
    assume(not [*config.faults()])
    found = read(dump(config), "f")
    assert found.config == config
    assert found.warnings == config.warnings


@given(st.text(max_size=30) | st.sampled_from(["file://", "memory://", "kubernetes-secret://"]).flatmap(
    lambda scheme: st.text(max_size=12).map(lambda rest: scheme + rest)))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_uri_is_a_destination_or_one_of_our_errors(text: str) -> None:
    with contextlib.suppress(TeleportError):
        assert [*destinations.from_uri(text).faults()] == []
