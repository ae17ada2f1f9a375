"""The page of tbot.yaml, and the guide: nothing is left unsaid, and what the guide shows can be used."""

import re
from pathlib import Path

import pytest

from scripts import tbot_page
from teleport.model.config.tbot_services import LATER
from teleport.model.config.tbot_yaml import read

ROOT = Path(__file__).parents[3]
PAGE = "\n".join(tbot_page.page())
ROWS = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", PAGE, re.M)
PLAIN = {"version", "onboarding", "azure", "gitlab", "kubernetes", "bound_keypair", "destination", "selectors",
         "labels", "default_namespace"}  # fmt: skip
"""Keys that say themselves what they are."""


def test_every_key_is_explained():
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
def test_rows(row):
    assert f"\n{row}" in PAGE


def test_what_is_not_there_yet_is_named():
    assert all(f"`{name}`" in PAGE for name in LATER)


def test_the_configuration_of_the_guide_can_be_used():
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/guides/tbot.md").read_text(), re.S)
    found = read(text, "guide")
    assert (found.warnings, len(found.config.services)) == ((), 2)
