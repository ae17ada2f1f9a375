"""tsh: sign in, see what you may reach, and reach it."""

_HERE = "teleport.cli.tsh"

COMMANDS: dict[str, str] = {
    "apps ls": f"{_HERE}.served:applications",
    "config": f"{_HERE}.config:config",
    "db ls": f"{_HERE}.served:databases",
    "doctor net": f"{_HERE}.doctor:net",
    "env": f"{_HERE}.env:env",
    "join": f"{_HERE}.join:join",
    "kube ls": f"{_HERE}.served:kubernetes_clusters",
    "login": f"{_HERE}.login:login",
    "logout": f"{_HERE}.login:logout",
    "ls": f"{_HERE}.ls:ls",
    "play": f"{_HERE}.play:play",
    "proxy ssh": f"{_HERE}.ssh:proxy_ssh",
    "puttyconfig": f"{_HERE}.puttyconfig:puttyconfig",
    "recordings download": f"{_HERE}.recordings:download",
    "recordings ls": f"{_HERE}.recordings:ls",
    "recordings search": f"{_HERE}.recordings:search",
    "resolve": f"{_HERE}.resolve:resolve",
    "scp": f"{_HERE}.scp:scp",
    "sessions ls": f"{_HERE}.sessions:ls",
    "sessions terminate": f"{_HERE}.sessions:end",
    "sftp": f"{_HERE}.sftp:sftp",
    "ssh": f"{_HERE}.ssh:ssh",
    "status": f"{_HERE}.login:status",
}
"""Command words and the `module:function` that serves them."""

QUICK: dict[str, str] = {"proxy ssh": f"{_HERE}.quick:proxy_ssh", "ssh": f"{_HERE}.quick_ssh:ssh"}
"""Commands that also start without click: functions from arguments to an exit status, or to None for a call that
the full command has to read."""

GLOBALS: dict[str, bool] = {
    "--proxy": True, "--user": True, "--ttl": True, "--insecure": False, "-i": True, "--identity": True,
}  # fmt: skip
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = (
    "tsh login --proxy=teleport.example.com --user=alice",
    "tsh ls env=dev",
    "tsh ssh alice@node-1",
    "tsh scp notes.txt alice@node-1:",
    "tsh sessions ls",
    "tsh join --mode=observer 5cee949f-5203-4f3b-9805-dac35d798a16",
    "ssh -F <(tsh config) alice@node-1.example.com",
    "tsh help POL-NO-LOGIN",
)
