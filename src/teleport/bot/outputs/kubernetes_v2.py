"""Output `kubernetes/v2`: one kubeconfig for every Kubernetes cluster that the selectors mean, and one certificate.

Which cluster a request is for stands in its path, not in the certificate. The clusters are looked up as whoever the
certificate names, at each renewal: one that comes later gets its context then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from teleport.access.labels import Selector
from teleport.api.bot_messages import Output
from teleport.api.client import AuthClient
from teleport.base.errors import AccessDenied, BadParameter, NotFound
from teleport.base.log import logger
from teleport.bot.outputs.certified import NAMES, identity_set
from teleport.bot.outputs.failing import told
from teleport.bot.outputs.kubernetes import KUBECONFIG, check_folder, door, login
from teleport.bot.outputs.service import OutputService
from teleport.bot.parts import Bot, Held
from teleport.client import kubeconfig
from teleport.client.kubeconfig import Context
from teleport.model.config.tbot_services import KubernetesSelector, KubernetesV2Output

log = logger("TBOT")

_FIELD = re.compile(
    r"\{\{\s*(?:\.(?P<name>ClusterName|KubeName)|\.Labels\.(?P<label>[A-Za-z_]\w*)"
    r'|index\s+\.Labels\s+"(?P<quoted>[^"]*)")\s*\}\}'
)
_MOST = 1000
"""Clusters of one output."""


class Cluster(NamedTuple):
    """A Kubernetes cluster that somebody may see."""

    name: str
    labels: Mapping[str, str]


class KubernetesV2Service(OutputService[KubernetesV2Output]):
    """Implements `bot.parts.Service`."""

    async def prepare(self) -> None:
        """See Service.prepare. Raises BadParameter (KUBE-NO-FOLDER, KUBE-TEMPLATE) too."""
        check_folder(self._destination, embedded=bool(self._section.disable_exec_plugin))
        context_name(self._section.context_name_template, "cluster", Cluster("kube", {}))
        await self._destination.prepare([*NAMES, KUBECONFIG])

    async def generate(self, bot: Bot) -> None:
        """Write a new certificate and the kubeconfig. Raises BadParameter (KUBE-*), NotFound (KUBE-NONE), what
        `Bot.issue` and `Bot.proxy` raise, and the destination."""
        embedded = bool(self._section.disable_exec_plugin)
        await self._destination.check()
        with told(self._destination):
            held = await self._certified.renew(bot, Output(ssh_public_key="", tls_public_key=""))
            contexts = await self._contexts(bot, held)
        user = login(self._destination, held, self._means.tbot, embedded=embedded)
        written = kubeconfig.render(door(await bot.proxy(), held), contexts, user)
        await self._destination.write({**identity_set(held), KUBECONFIG: written})
        self._certified.tell(held)

    async def _contexts(self, bot: Bot, held: Held) -> list[Context]:
        async with bot.client(held) as client:
            clusters = await _clusters(client)
        return contexts(self._section, bot.cluster, clusters)


async def _clusters(client: AuthClient) -> list[Cluster]:
    """Return the clusters that the caller may see, by name, whether they were made known or an agent serves them."""
    found: dict[str, Cluster] = {}
    for kind in ("kube_server", "kube_cluster"):
        try:
            async for each in client.list(kind):
                found[each.name] = Cluster(each.name, each.labels_now())
        except (AccessDenied, NotFound):  # no rule for this kind: what the other one shows is enough
            continue
    return [found[name] for name in sorted(found)]


def contexts(section: KubernetesV2Output, teleport: str, clusters: Sequence[Cluster]) -> list[Context]:
    """Return a context for each cluster that a selector means, those of the first selector first.

    What some selector does not find is only noted: a cluster that is gone must not end the access to the others. Raises
    NotFound (KUBE-NONE) when none finds anything, BadParameter (KUBE-CONTEXT, KUBE-MANY)."""
    found: dict[str, Context] = {}
    named: dict[str, str] = {}
    for selector in section.selectors:
        meant = [cluster for cluster in clusters if _means(selector, cluster)]
        if not meant:
            log.warn("No Kubernetes cluster matches a selector", selector=_text(selector))
        for cluster in meant:
            if cluster.name in found:
                continue
            name = context_name(section.context_name_template, teleport, cluster)
            if name in named:
                raise BadParameter("KUBE-CONTEXT", name=name, first=named[name], second=cluster.name)
            named[name] = cluster.name
            path = kubeconfig.cluster_path(teleport, cluster.name)
            found[cluster.name] = Context(name=name, namespace=selector.default_namespace, path=path)
    if not found:
        raise NotFound("KUBE-NONE", selectors="; ".join(_text(selector) for selector in section.selectors))
    if len(found) > _MOST:
        raise BadParameter("KUBE-MANY", number=len(found), most=_MOST)
    return list(found.values())


def context_name(template: str, teleport: str, cluster: Cluster) -> str:
    """Return a template with its fields filled in: `{{.ClusterName}}`, `{{.KubeName}}`, `{{.Labels.NAME}}` and
    `{{index .Labels "NAME"}}`; a label that a cluster lacks is empty. Raises BadParameter (KUBE-TEMPLATE)."""
    fields = {"ClusterName": teleport, "KubeName": cluster.name}

    def value(match: re.Match[str]) -> str:
        if match["name"]:
            return fields[match["name"]]
        return cluster.labels.get(match["label"] or match["quoted"] or "", "")

    if "{{" in _FIELD.sub("", template):
        raise BadParameter("KUBE-TEMPLATE", template=template)
    return _FIELD.sub(value, template)


def _means(selector: KubernetesSelector, cluster: Cluster) -> bool:
    if selector.name:
        return cluster.name == selector.name
    return Selector(dict(selector.labels), {}).matches(cluster.labels)


def _text(selector: KubernetesSelector) -> str:
    if selector.name:
        return f"name {selector.name}"
    return "labels " + ",".join(f"{name}={value}" for name, value in sorted(selector.labels.items()))
