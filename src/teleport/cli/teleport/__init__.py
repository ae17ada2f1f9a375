"""teleport: the server - the Auth, Proxy and SSH Service in one process."""

_HERE = "teleport.cli.teleport"

COMMANDS: dict[str, str] = {
    "configure": f"{_HERE}.configure:configure",
    "debug get-log-level": f"{_HERE}.debug:get_log_level",
    "debug readyz": f"{_HERE}.debug:readyz",
    "debug set-log-level": f"{_HERE}.debug:set_log_level",
    "start": f"{_HERE}.start:start",
}
"""Command words and the `module:function` that serves them."""

GLOBALS: dict[str, bool] = {"-c": True, "--config": True}
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = (
    "teleport configure -o /etc/teleport.yaml --cluster-name=example.com",
    "teleport start -c /etc/teleport.yaml",
    "teleport debug set-log-level DEBUG",
    "teleport help CFG-YAML-SYNTAX",
)
