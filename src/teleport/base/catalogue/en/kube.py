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
    "KUBE-KEY": Page(
        what="the file {name!r} cannot be a key of a Secret",
        why="keys have letters, digits, -, _ and ., a folder's slash becomes a dot, and no two files may share a key",
        fix="use a destination of the type directory for this output",
    ),
    "KUBE-NAMESPACE": Page(
        what="no namespace {space} for the destination {destination}",
        why="a Secret is made when it is missing, the namespace that it is in is not",
        fix="kubectl create namespace {space}, or correct `namespace`",
    ),
    "KUBE-NO-NAMESPACE": Page(
        what="the destination {destination} is in no namespace",
        why="neither `namespace` nor POD_NAMESPACE nor the context of the kubeconfig names one",
        fix="write `namespace: NAME`, or set POD_NAMESPACE from metadata.namespace in the pod's manifest",
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
    "KUBE-UNREACHABLE": Page(
        what="the API server {server} cannot be asked: {problem}",
        why="it does not answer, answers with an error of its own, or is not whom its certificate should name",
        fix="try `kubectl get --raw /readyz` from the same place with the same kubeconfig",
    ),
}
