"""The table of join methods of the client: those of the server, and a clear word for others."""

from __future__ import annotations

import pytest

from teleport.base.clock import SystemClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import NotSupported
from teleport.client.joining.methods import method
from teleport.model.kinds.token import METHODS, SERVED_METHODS


@pytest.mark.parametrize("name", METHODS)
def test_what_the_server_takes_the_client_has(name: str) -> None:
    if name in SERVED_METHODS:
        assert method(name, {}, MemoryDisk(), "/d", SystemClock(), SystemEntropy()).name == name
    else:
        with pytest.raises(NotSupported) as caught:
            method(name, {}, MemoryDisk(), "/d", SystemClock(), SystemEntropy())
        assert caught.value.code == "CLIENT-JOIN-METHOD"
