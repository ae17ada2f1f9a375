"""The page of teleport.yaml: no documented key is missing, and what is enforced has a test that sees it."""

import pytest

from scripts import config_page
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
