"""semaphore: what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.base.errors import BadParameter
from teleport.model.kinds.semaphore import MOST_LEASES, Semaphore
from teleport.model.resource import load
from tests.unit.model.samples import SAMPLES


def made(**changes: Any) -> Semaphore:
    found = load({**SAMPLES["semaphore"], **changes})
    assert isinstance(found, Semaphore)
    return found


def test_a_semaphore_says_how_many_leases_it_has() -> None:
    cells = [column.cell(made()) for column in Semaphore.info.columns]
    assert cells[:3] == ["connection", "alice", "1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sub_kind": "kube"},
        {"spec": {"max_leases": -1}},
        {"spec": {"leases": [{"lease_id": str(n)} for n in range(MOST_LEASES + 1)]}},
        {"spec": {"leases": [{"lease_id": "a/b"}]}},
        {"spec": {"leases": [{"lease_id": "a", "holder": "\x07"}]}},
    ],
)
def test_what_cannot_be_one_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        made(**changes)
