"""tsh: sign in, see what you may reach, and reach it."""

_HERE = "teleport.cli.tsh"

COMMANDS: dict[str, str] = {
    "config": f"{_HERE}.config:config",
    "login": f"{_HERE}.login:login",
    "logout": f"{_HERE}.login:logout",
    "ls": f"{_HERE}.ls:ls",
    "status": f"{_HERE}.login:status",
}
"""Command words and the `module:function` that serves them."""

GLOBALS: dict[str, bool] = {"--proxy": True, "--user": True, "--ttl": True, "--insecure": False}
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = (
    "tsh login --proxy=teleport.example.com --user=alice",
    "tsh ls env=dev",
    "ssh -F <(tsh config) alice@node-1.example.com",
    "tsh help POL-NO-LOGIN",
)
