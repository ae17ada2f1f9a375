"""tbot: certificates for machines, renewed before they end."""

_HERE = "teleport.cli.tbot"

COMMANDS: dict[str, str] = {
    "keypair create": f"{_HERE}.keypair:create",
    "proxy": f"{_HERE}.proxy:proxy",
    "ssh-proxy-command": f"{_HERE}.ssh_proxy:ssh_proxy_command",
    "start": f"{_HERE}.start:start",
    "tpm identify": "teleport.cli.tpm:identify",
}
"""Command words and the `module:function` that serves them."""

QUICK: dict[str, str] = {"ssh-proxy-command": f"{_HERE}.quick:ssh_proxy_command"}
"""Commands that also start without click: functions from arguments to an exit status, or to None for a call that
the full command has to read."""

GLOBALS: dict[str, bool] = {"-c": True, "--config": True}
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = ("tbot version",)
