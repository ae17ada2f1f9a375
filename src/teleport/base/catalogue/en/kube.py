"""KUBE-*: Kubernetes clusters, and what kubectl gets for them."""

from teleport.base.catalogue import Page

PAGES = {
    "KUBE-CONTEXT": Page(
        what="two Kubernetes clusters would have the context {name!r}: {first} and {second}",
        why="`context_name_template` gives both the same name, and kubectl knows clusters by the name of their context",
        fix="write a template that has {{{{.KubeName}}}} in it, or select fewer clusters",
    ),
    "KUBE-EXPIRED": Page(
        what="the certificates in {folder} ended at {until}",
        why="tbot has not renewed them: it is not running, or cannot reach the cluster",
        fix="look at tbot's log; `pkill -sigusr1 tbot` makes a running one renew at once",
    ),
    "KUBE-MANY": Page(
        what="the selectors mean {number} Kubernetes clusters",
        why="a kubeconfig has at most {most} of them",
        fix="select fewer clusters, or divide them over several outputs",
    ),
    "KUBE-NO-FOLDER": Page(
        what="Destination {destination} must be a directory in exec plugin mode",
        why="kubectl is to ask tbot for certificates, and tbot reads them in the folder of the output: here is none",
        fix="write `disable_exec_plugin: true` in this output: then the certificate stands in the kubeconfig itself",
    ),
    "KUBE-NONE": Page(
        what="no Kubernetes cluster matches the selectors: {selectors}",
        why="there is none, or the roles of the bot do not show it: they need `kubernetes_labels`, and a rule for the "
        "resources kube_server and kube_cluster with the verbs read and list",
        fix="tctl get kube_cluster shows which there are; tctl bots update BOT --add-roles=ROLE adds a role",
    ),
    "KUBE-TEMPLATE": Page(
        what="the template {template!r} of context names is not understood",
        why="known are {{{{.ClusterName}}}}, {{{{.KubeName}}}}, {{{{.Labels.NAME}}}} and {{{{index .Labels 'NAME'}}}}",
        fix="write `context_name_template` with these alone",
    ),
}
