"""tsh ssh: what its command line means."""

import pytest

from teleport.base.errors import BadParameter
from teleport.cli.tsh.ssh import _options


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((), {}),
        (("User=root", "port 2222", "HostName = node-1"), {"user": "root", "port": "2222", "hostname": "node-1"}),
        (("ForwardAgent=no", "ForwardX11 no"), {}),
    ],
)
def test_options_that_are_known(given, found):
    assert _options(given) == found


@pytest.mark.parametrize("text", ["ProxyCommand=x", "Port=x", "Port=0", "Port=70000", "User=", "ForwardAgent=yes", ""])
def test_options_that_are_not(text):
    with pytest.raises(BadParameter) as caught:
        _options((text,))
    assert caught.value.code == "CLIENT-SSH-OPTION"
