"""tbot: certificates for machines, renewed before they end."""

COMMANDS: dict[str, str] = {
    "kube credentials": "teleport.cli.tbot.kube:credentials",
    "start": "teleport.cli.tbot.start:start",
    "tpm identify": "teleport.cli.tpm:identify",
}
"""Command words and the `module:function` that serves them."""

GLOBALS: dict[str, bool] = {"-c": True, "--config": True}
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = ("tbot version",)
