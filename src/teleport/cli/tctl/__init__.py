"""tctl: administer a cluster - users, roles, locks, audit, and why somebody was refused."""

_HERE = "teleport.cli.tctl"

COMMANDS: dict[str, str] = {
    "access can": f"{_HERE}.access:can",
    "access explain": f"{_HERE}.access:explain",
    "api-resources": f"{_HERE}.resources:api_resources",
    "apps ls": f"{_HERE}.served:applications",
    "audit export": f"{_HERE}.audit_proof:export",
    "audit head": f"{_HERE}.audit_proof:head",
    "audit ls": f"{_HERE}.audit:ls",
    "audit query": f"{_HERE}.audit_query:query",
    "audit prune": f"{_HERE}.audit_proof:prune",
    "audit search": f"{_HERE}.audit:search",
    "audit verify": f"{_HERE}.audit_proof:verify",
    "auth export": f"{_HERE}.export:export",
    "auth sign": f"{_HERE}.sign:sign",
    "bots add": f"{_HERE}.bots:add",
    "bots instances add": f"{_HERE}.bot_instances:add",
    "bots instances list": f"{_HERE}.bot_instances:ls",
    "bots instances ls": f"{_HERE}.bot_instances:ls",
    "bots instances show": f"{_HERE}.bot_instances:show_one",
    "bots lock": f"{_HERE}.bots:lock",
    "bots ls": f"{_HERE}.bots:ls",
    "bots recover": f"{_HERE}.bot_recovery:recover",
    "bots rm": f"{_HERE}.bots:rm",
    "bots update": f"{_HERE}.bots:update",
    "create": f"{_HERE}.resources:create",
    "db ls": f"{_HERE}.served:databases",
    "del": f"{_HERE}.resources:rm",
    "edit": f"{_HERE}.resources:edit",
    "get": f"{_HERE}.resources:get",
    "inventory ls": f"{_HERE}.inventory:ls",
    "inventory ping": f"{_HERE}.inventory:ping",
    "inventory status": f"{_HERE}.inventory:status",
    "kube ls": f"{_HERE}.served:kubernetes_clusters",
    "lock": f"{_HERE}.lock:lock",
    "nodes add": f"{_HERE}.nodes:add",
    "nodes ls": f"{_HERE}.nodes:ls",
    "recordings download": f"{_HERE}.recordings:download",
    "recordings encryption rotate": f"{_HERE}.recordings:encryption_rotate",
    "recordings encryption status": f"{_HERE}.recordings:encryption_status",
    "recordings ls": f"{_HERE}.recordings:ls",
    "rm": f"{_HERE}.resources:rm",
    "sessions ls": f"{_HERE}.sessions:ls",
    "sessions terminate": f"{_HERE}.sessions:end",
    "status": f"{_HERE}.status:status",
    "tokens add": f"{_HERE}.tokens:add",
    "tokens del": f"{_HERE}.tokens:rm",
    "tokens ls": f"{_HERE}.tokens:ls",
    "tokens rm": f"{_HERE}.tokens:rm",
    "users add": f"{_HERE}.users:add",
    "users del": f"{_HERE}.users:rm",
    "users ls": f"{_HERE}.users:ls",
    "users reset": f"{_HERE}.users:reset",
    "users rm": f"{_HERE}.users:rm",
    "users update": f"{_HERE}.users:update",
}
"""Command words and the `module:function` that serves them."""

HIDDEN = frozenset({"bots lock"})
"""Commands that the overview leaves out: `lock` does what they do."""

GLOBALS: dict[str, bool] = {
    "-c": True, "--config": True, "-i": True, "--identity": True, "--auth-server": True,
}  # fmt: skip
"""Options that may stand before the command word, and whether a value follows."""

EXAMPLES = (
    "tctl users add alice --roles=access --logins=alice",
    "tctl get roles",
    "tctl create role.yaml",
    "tctl access explain 3v1k8wz6m2q9x4d7b5n0r1t8ya",
    "tctl help POL-NO-LOGIN",
)
