from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from tests.unit.model.samples import sample


def test_it_exists_once_under_its_own_name() -> None:
    cluster = kinds.load({"kind": "cluster_name", "spec": {"cluster_name": "example.com"}})
    assert cluster.name == "cluster-name"
    assert cluster.info.writable == frozenset()


@pytest.mark.parametrize("changes", [{"cluster_name": "a b"}, {"cluster_name": None}, {"cluster_id": "a/b"}])
def test_names_out_of_grammar(changes: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        kinds.load(sample("cluster_name", **changes))
