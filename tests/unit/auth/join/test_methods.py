"""The table of join methods: what a token may name has an examiner, tests of its own and a part of the guide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from teleport.model.kinds.token import SERVED_METHODS, Token
from teleport.model.resource import load
from tests.support.auth_cluster import Cluster, run

GUIDE = Path("docs/guides/join-methods.md").read_text()
PARTS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL))


def test_every_method_has_an_examiner() -> None:
    async def story(cluster: Cluster) -> None:
        assert {*cluster.service._join_methods} == {*SERVED_METHODS}

    run(story)


@pytest.mark.parametrize("method", SERVED_METHODS)
def test_every_method_has_tests_and_an_example_that_holds(method: str) -> None:
    name = "service" if method == "token" else method
    assert Path(__file__).with_name(f"test_{name}.py").exists()
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PARTS[method], re.MULTILINE | re.DOTALL)
    token = load(yaml.safe_load(example))
    assert isinstance(token, Token)
    assert token.spec.join_method == method
