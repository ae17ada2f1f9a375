"""BOT-*: machine identity on the machine, that is tbot."""

from teleport.base.catalogue import Page

PAGES = {
    "BOT-IDENTITY-NONE": Page(
        what="the bot has no identity yet",
        why="something asked for it before the bot had joined; this is a defect",
        fix="start again with -d and report the last lines",
    ),
    "BOT-IDENTITY-REPLY": Page(
        what="the certificates that came are not for the key that was asked for",
        why="the Auth Service, or what stands between, answered another request; nothing was stored",
        fix="the bot asks again by itself; if this stays, look at the log of the Auth Service",
    ),
    "BOT-KUBE-CONTEXT": Page(
        what="two Kubernetes clusters would have the context {name!r}: {first} and {second}",
        why="`context_name_template` gives both the same name, and kubectl knows clusters by the name of their context",
        fix="write a template that has {{{{.KubeName}}}} in it, or select fewer clusters",
    ),
    "BOT-KUBE-EXPIRED": Page(
        what="the certificates in {folder} ended at {until}",
        why="tbot has not renewed them: it is not running, or cannot reach the cluster",
        fix="look at tbot's log; `pkill -sigusr1 tbot` makes a running one renew at once",
    ),
    "BOT-KUBE-MANY": Page(
        what="the selectors mean {number} Kubernetes clusters",
        why="a kubeconfig has at most {most} of them",
        fix="select fewer clusters, or divide them over several outputs",
    ),
    "BOT-KUBE-NO-FOLDER": Page(
        what="Destination {destination} must be a directory in exec plugin mode",
        why="kubectl is to ask tbot for certificates, and tbot reads them in the folder of the output: here is none",
        fix="write `disable_exec_plugin: true` in this output: then the certificate stands in the kubeconfig itself",
    ),
    "BOT-KUBE-NONE": Page(
        what="no Kubernetes cluster matches the selectors: {selectors}",
        why="there is none, or the roles of the bot do not show it: they need `kubernetes_labels`, and a rule for the "
        "resources kube_server and kube_cluster with the verbs read and list",
        fix="tctl get kube_cluster shows which there are; tctl bots update BOT --add-roles=ROLE adds a role",
    ),
    "BOT-KUBE-TEMPLATE": Page(
        what="the template {template!r} of context names is not understood",
        why="known are {{{{.ClusterName}}}}, {{{{.KubeName}}}}, {{{{.Labels.NAME}}}} and {{{{index .Labels 'NAME'}}}}",
        fix="write `context_name_template` with these alone",
    ),
    "BOT-NO-SERVER": Page(
        what="the bot does not know where the cluster is",
        why="neither proxy_server nor auth_server is configured",
        fix="start tbot with --proxy-server=HOST:PORT, or write proxy_server into tbot.yaml",
    ),
    "BOT-NO-TOKEN": Page(
        what="no existing identity found on disk or join token configured",
        why="a bot that has no certificates yet needs a token to join the cluster with",
        fix="make a token with `tctl bots instances add NAME`, and give it with --token or in onboarding.token",
    ),
    "BOT-NOT-ONCE": Page(
        what="the service {service} cannot be used with oneshot",
        why="it listens as long as the bot runs, and a bot that runs once ends when its files are written",
        fix="start tbot without --oneshot, or take the service out of the configuration",
    ),
    "BOT-ONESHOT": Page(
        what="{failed} of {services} services failed, the first is {service}: {problem}",
        why="with oneshot nothing is tried again; what succeeded has been written",
        fix="mend what the log says of each service, and start tbot again",
    ),
    "BOT-PROXY-FIND": Page(
        what='Get "https://{address}/webapi/find": {problem}',
        why="a proxy says at this address what it is, and there was no such answer",
        fix="check that {address} is the web address of a proxy, and that this machine reaches it",
    ),
    "BOT-PROXY-PING": Page(
        what="the proxy at {address} does not say what it is: {problem}",
        why="addresses for SSH come from the proxy, which cannot be asked",
        fix='let this machine reach the proxy; an identity output needs none with ssh_config: "off"',
    ),
    "BOT-STORAGE-CORRUPT": Page(
        what="{file} in {storage} cannot be read as a part of the bot's identity",
        why="it was changed by hand, cut short by a broken disk, or written by another program",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again; do not put back a copy of the storage, which would lock the bot",
    ),
    "BOT-STORAGE-INCOMPLETE": Page(
        what="{file} is missing from {storage}, and other parts of the bot's identity are there",
        why="files were removed or copied by hand; the bot itself never leaves some of them",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again",
    ),
    "BOT-STORAGE-LOCKED": Page(
        what="another tbot, process {holder}, uses the storage {folder}",
        why="the certificates of a bot renew themselves: two programs with the same ones lock the bot out",
        fix="end that process (kill {holder}), or give this bot a storage of its own: --storage=/var/lib/teleport/NAME",
    ),
    "BOT-STORAGE-MIXED": Page(
        what="{file} in {storage} does not belong to the key that is there",
        why="files of two identities were mixed, by hand or by a backup that was put back in part",
        fix="make a token with `tctl bots instances add NAME` and start with it: the bot joins anew and writes every "
        "file again",
    ),
    "BOT-TASK": Page(
        what="{service} failed unexpectedly ({kind})",
        why="this is a defect of tbot",
        fix="look at the log, and report it",
    ),
    "BOT-USE-PROXY-ADDR": Page(
        what="TBOT_USE_PROXY_ADDR requires that a proxy address is set using --proxy-server or proxy_server",
        why="it says that the configured address of the proxy is used, and none is configured",
        fix="set proxy_server, or take the variable away",
    ),
}
