"""teleport: the server - the Auth, Proxy and SSH Service in one process."""

_HERE = "teleport.cli.teleport"

COMMANDS: dict[str, str] = {
    "backup": f"{_HERE}.backup:backup",
    "configure": f"{_HERE}.configure:configure",
    "debug get-log-level": f"{_HERE}.debug:get_log_level",
    "debug metrics": f"{_HERE}.debug:metrics",
    "debug profile": f"{_HERE}.debug:profile",
    "debug readyz": f"{_HERE}.debug:readyz",
    "debug set-log-level": f"{_HERE}.debug:set_log_level",
    "doctor net": f"{_HERE}.doctor:net",
    "install systemd": f"{_HERE}.install:systemd",
    "join openssh": f"{_HERE}.join:openssh",
    "restore": f"{_HERE}.backup:restore",
    "start": f"{_HERE}.start:start",
    "status": f"{_HERE}.status:status",
    "tpm identify": "teleport.cli.tpm:identify",
}
"""Command words and the `module:function` that serves them."""

ALIASES: dict[str, str] = {"set-log-level": "debug set-log-level"}
"""Words that older documents use for a command. Help does not list them."""

GLOBALS: dict[str, bool] = {"-c": True, "--config": True}
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = (
    "teleport configure -o /etc/teleport.yaml --cluster-name=example.com",
    "teleport start -c /etc/teleport.yaml",
    "teleport debug set-log-level DEBUG",
    "teleport backup -o /var/backups/teleport.tar",
    "teleport help CFG-YAML-SYNTAX",
)
