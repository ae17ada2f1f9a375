"""K8S-*: Kubernetes."""

from teleport.base.catalogue import Page

PAGES = {
    "K8S-SECRET-EXEC": Page(
        what="a kubeconfig that asks tbot for credentials needs a folder",
        why="with the exec plugin kubectl starts tbot, which reads the credentials from a folder; a Secret is none",
        fix="set `disable_exec_plugin: true` for this output, so that the credentials stand in the kubeconfig itself",
    ),
}
