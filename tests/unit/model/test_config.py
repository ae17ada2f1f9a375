"""The pages of teleport.yaml and tbot.yaml: no key is left out, what is enforced has a test of it."""

import re
from pathlib import Path

import pytest

from scripts import config_page, tbot_page
from teleport.model.config.tbot_services import LATER
from teleport.model.config.tbot_yaml import read
from teleport.model.later import Later

KNOWN, CLAIMS = config_page.known(), config_page.claims()
DOCUMENTED = [entry.key for entry in config_page.documented()]
ENFORCED = sorted(key for key in DOCUMENTED if (leaf := config_page.leaf_of(key, KNOWN)) and leaf.later is None)


def test_every_documented_key_is_known_to_the_model():
    assert [key for key in DOCUMENTED if config_page.leaf_of(key, KNOWN) is None] == []
    assert len(DOCUMENTED) == len(set(DOCUMENTED)) > 300


def test_every_key_of_the_model_is_documented():
    assert config_page.undocumented(KNOWN) == []
    more = {**KNOWN, "teleport.brand_new": KNOWN["teleport.nodename"], "auth_service.toke": KNOWN["version"]}
    assert config_page.undocumented(more) == ["teleport.brand_new", "auth_service.toke"]


@pytest.mark.parametrize("key", ENFORCED)
def test_what_is_enforced_has_a_test_of_its_effect(key):
    assert KNOWN[key].later is None, "an enforced key is a field of its own"
    assert CLAIMS.get(key), f"mark a test that sees its effect: @pytest.mark.config({key!r})"


def test_tests_claim_only_what_is_enforced():
    assert sorted(set(CLAIMS) - set(ENFORCED)) == []


def test_page_names_tests_and_refusals():
    page = "\n".join(config_page.page())
    assert "| `pid_file` | - | enforced: `test_pid_is_written_where_the_file_says` (tests/integration/" in page
    assert "| `cache.enabled` | yes | refused with `teleport.cache` |" in page
    assert "refused: `syslog`" in page
    assert "enforced:  |" not in page
    for section in ("teleport", "auth_service", "proxy_service", "ssh_service", "app_service", "discovery_service"):
        assert f"\n## {section}\n" in page


def test_a_key_belongs_to_the_nearest_field():
    assert config_page.leaf_of("teleport.storage.path", KNOWN) is KNOWN["teleport.storage"]
    assert config_page.leaf_of("proxy_service.https_keypairs[].key_file", KNOWN).later is None
    assert isinstance(config_page.leaf_of("app_service.apps[].uri", KNOWN).later, Later)
    assert config_page.leaf_of("teleport.nonsense", KNOWN) is None
    assert config_page.leaf_of("nonsense", KNOWN) is None


GUIDE = Path(__file__).parents[3] / "docs/guides/tbot.md"
PAGE = "\n".join(tbot_page.page())
ROWS = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", PAGE, re.M)
PLAIN = {"version", "onboarding", "azure", "gitlab", "kubernetes", "bound_keypair", "destination", "selectors",
         "labels", "default_namespace"}  # fmt: skip
"""Keys that say themselves what they are."""


def test_every_key_of_tbot_is_explained():
    assert len(ROWS) > 80
    assert {key for key, value, _, meaning in ROWS if not meaning and value != "*later*"} <= PLAIN


@pytest.mark.parametrize(
    "row",
    [
        "| `credential_ttl` | time, as `1h30m` | `1h0m0s` | How long",
        "| `storage` | destination | `directory: /var/lib/teleport/bot` | ",
        "| `services` | list: service |  | ",
        "| `fips` | *later* |  |  |",
        "| `app_name` | text | **required** | ",
        "| `format` | `tls`, `mongo`, `cockroach` |  | ",
        "| `destination` | destination, `directory` alone | **required** | ",
        "| `selectors` | list: selector |  | ",
        "| `user` | text or number |  | ",
        "| `labels` | map of text |  | ",
        "| `name` | text |  | Empty: derived from the type",
    ],
)
def test_rows_of_the_page_of_tbot(row):
    assert f"\n{row}" in PAGE


def test_services_that_are_not_there_yet_are_named():
    assert all(f"`{name}`" in PAGE for name in LATER)


def test_the_configuration_of_the_guide_can_be_used():
    text, *_ = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.S)
    found = read(text, "guide")
    assert (found.warnings, len(found.config.services)) == ((), 2)
