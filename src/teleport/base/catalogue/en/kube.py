"""KUBE-*: API servers of Kubernetes that this program asks."""

from teleport.base.catalogue import Page

PAGES = {
    "KUBE-CONFIG": Page(
        what="the kubeconfig {path} cannot be used: {problem}",
        why="it must say which API server to ask, whom to believe there, and as whom to ask",
        fix="look at it with `kubectl config view --kubeconfig={path} --minify`, or choose another context with "
        "kubeconfig_context",
    ),
    "KUBE-CONFLICT": Page(
        what="the Secret {name} was changed by somebody else {attempts} times while it was to be written",
        why="a Secret has one writer; another tbot, or an operator, writes to this one all the time",
        fix="find it with `kubectl get secret {name} -o yaml --show-managed-fields`, and give each tbot a Secret of "
        "its own (of a Deployment: `strategy: {{type: Recreate}}`)",
    ),
    "KUBE-CONTEXT": Page(
        what="two Kubernetes clusters would have the context {name!r}: {first} and {second}",
        why="`context_name_template` gives both the same name, and kubectl knows clusters by the name of their context",
        fix="write a template that has {{{{.KubeName}}}} in it, or select fewer clusters",
    ),
    "KUBE-CREDENTIALS": Page(
        what="the API server {server} does not know who tbot is",
        why="the token or the client certificate has expired, or is for another cluster",
        fix="renew the credentials in the kubeconfig, or look whether the pod has its service account's token mounted",
    ),
    "KUBE-DENIED": Page(
        what="no access to the destination {destination}: {problem}",
        why="whoever tbot is there needs to get, create and update this Secret",
        fix="kubectl create role tbot-{name} -n {space} --verb=get,create,update --resource=secrets, and bind it: "
        "kubectl create rolebinding tbot-{name} -n {space} --role=tbot-{name} --serviceaccount={space}:NAME; as YAML: "
        'rules: [{{apiGroups: [""], resources: [secrets], verbs: [create]}}, {{apiGroups: [""], resources: [secrets], '
        "resourceNames: [{name}], verbs: [get, update]}}]",
    ),
    "KUBE-EXPIRED": Page(
        what="the certificates in {folder} ended at {until}",
        why="tbot has not renewed them: it is not running, or cannot reach the cluster",
        fix="look at tbot's log; `pkill -sigusr1 tbot` makes a running one renew at once",
    ),
    "KUBE-KEY": Page(
        what="the file {name!r} cannot be a key of a Secret",
        why="keys have letters, digits, -, _ and ., a folder's slash becomes a dot, and no two files may share a key",
        fix="use a destination of the type directory for this output",
    ),
    "KUBE-MANY": Page(
        what="the selectors mean {number} Kubernetes clusters",
        why="a kubeconfig has at most {most} of them",
        fix="select fewer clusters, or divide them over several outputs",
    ),
    "KUBE-NAMESPACE": Page(
        what="no namespace {space} for the destination {destination}",
        why="a Secret is made when it is missing, the namespace that it is in is not",
        fix="kubectl create namespace {space}, or correct `namespace`",
    ),
    "KUBE-NO-FOLDER": Page(
        what="Destination {destination} must be a directory in exec plugin mode",
        why="kubectl is to ask tbot for certificates, and tbot reads them in the folder of the output: here is none",
        fix="write `disable_exec_plugin: true` in this output: then the certificate stands in the kubeconfig itself",
    ),
    "KUBE-NO-NAMESPACE": Page(
        what="the destination {destination} is in no namespace",
        why="neither `namespace` nor POD_NAMESPACE nor the context of the kubeconfig names one",
        fix="write `namespace: NAME`, or set POD_NAMESPACE from metadata.namespace in the pod's manifest",
    ),
    "KUBE-NONE": Page(
        what="no Kubernetes cluster matches the selectors: {selectors}",
        why="there is none, or the roles of the bot do not show it: they need `kubernetes_labels`, and a rule for the "
        "resources kube_server and kube_cluster with the verbs read and list",
        fix="tctl get kube_cluster shows which there are; tctl bots update BOT --add-roles=ROLE adds a role",
    ),
    "KUBE-NOWHERE": Page(
        what="no API server of Kubernetes to ask",
        why="tbot does not run in a pod, and neither kubeconfig_path nor KUBECONFIG names a file",
        fix="write `kubeconfig_path: /path/to/kubeconfig` for the destination",
    ),
    "KUBE-REFUSED": Page(
        what="the API server refuses the destination {destination} ({status}): {problem}",
        why="it does not take the Secret as it would be written",
        fix="correct what it names; a Secret that is `immutable: true` must be deleted first",
    ),
    "KUBE-TEMPLATE": Page(
        what="the template {template!r} of context names is not understood",
        why="known are {{{{.ClusterName}}}}, {{{{.KubeName}}}}, {{{{.Labels.NAME}}}} and {{{{index .Labels 'NAME'}}}}",
        fix="write `context_name_template` with these alone",
    ),
    "KUBE-UNREACHABLE": Page(
        what="the API server {server} cannot be asked: {problem}",
        why="it does not answer, answers with an error of its own, or is not whom its certificate should name",
        fix="try `kubectl get --raw /readyz` from the same place with the same kubeconfig",
    ),
}
