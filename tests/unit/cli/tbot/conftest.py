"""Commands in a test see nothing of the machine's environment."""

import pytest


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("TBOT_CONFIG_PATH", "TBOT_DEBUG", "TELEPORT_AUTH_SERVER", "TELEPORT_PROXY", "TELEPORT_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
