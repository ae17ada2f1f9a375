"""tbot: certificates for machines, renewed before they end."""

_HERE = "teleport.cli.tbot"

COMMANDS: dict[str, str] = {
    "configure": f"{_HERE}.configure:configure",
    "configure application": f"{_HERE}.configure:application",
    "configure database": f"{_HERE}.configure:database",
    "configure identity": f"{_HERE}.configure:identity",
    "configure kubernetes": f"{_HERE}.configure:kubernetes",
    "configure kubernetes/v2": f"{_HERE}.configure:kubernetes_v2",
    "configure ssh-host": f"{_HERE}.configure:ssh_host",
    "configure ssh-multiplexer": f"{_HERE}.configure:ssh_multiplexer",
    "db": f"{_HERE}.db:db",
    "doctor": f"{_HERE}.doctor:doctor",
    "init": f"{_HERE}.init:init",
    "install systemd": f"{_HERE}.install:systemd",
    "keypair create": f"{_HERE}.keypair:create",
    "kube credentials": f"{_HERE}.kube:credentials",
    "migrate": f"{_HERE}.configure:migrate",
    "proxy": f"{_HERE}.proxy:proxy",
    "recover": f"{_HERE}.recover:recover",
    "ssh-multiplexer-proxy-command": f"{_HERE}.multiplexer:ssh_multiplexer_proxy_command",
    "ssh-proxy-command": f"{_HERE}.ssh_proxy:ssh_proxy_command",
    "start": f"{_HERE}.start:start",
    "start application": f"{_HERE}.start:application",
    "start database": f"{_HERE}.start:database",
    "start identity": f"{_HERE}.start:identity",
    "start kubernetes": f"{_HERE}.start:kubernetes",
    "start kubernetes/v2": f"{_HERE}.start:kubernetes_v2",
    "start ssh-host": f"{_HERE}.start:ssh_host",
    "start ssh-multiplexer": f"{_HERE}.start:ssh_multiplexer",
    "tpm identify": "teleport.cli.tpm:identify",
    "wait": f"{_HERE}.wait:wait",
}
"""Command words and the `module:function` that serves them."""

QUICK: dict[str, str] = {
    "ssh-multiplexer-proxy-command": f"{_HERE}.quick_multiplexer:ssh_multiplexer_proxy_command",
    "ssh-proxy-command": f"{_HERE}.quick:ssh_proxy_command",
}
"""Commands that also start without click: functions from arguments to an exit status, or to None for a call that
the full command has to read."""

GLOBALS: dict[str, bool] = {"-c": True, "--config": True, "--log-format": True}
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = (
    "tbot configure identity --proxy-server=teleport.example.com:443 --destination=/opt/machine-id -o tbot.yaml",
    "tbot migrate -c old.yaml -o tbot.yaml",
    "tbot version",
)
