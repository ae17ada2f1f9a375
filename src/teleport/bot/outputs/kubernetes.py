"""Output `kubernetes`: a kubeconfig for one Kubernetes cluster, and the certificates that it is about.

By default `kubectl` asks `tbot kube credentials` for the certificate at each of its starts, so that a kubeconfig which
was copied, or read by a program that runs for weeks, never holds one that has ended. That needs a folder. With
`disable_exec_plugin` the certificate stands in the kubeconfig itself, which is then as good as the certificate.
"""

from __future__ import annotations

from teleport.api.bot_messages import Output
from teleport.base.errors import BadParameter
from teleport.base.log import logger
from teleport.bot.held import host_certificates
from teleport.bot.outputs.certified import NAMES, identity_set
from teleport.bot.outputs.failing import told
from teleport.bot.outputs.service import OutputService
from teleport.bot.parts import Bot, Destination, Held, ProxyFacts
from teleport.client import kubeconfig
from teleport.client.kubeconfig import Context, Door, Embedded, Plugin
from teleport.model.address import parse_addr
from teleport.model.config.tbot_services import KubernetesOutput

log = logger("TBOT")

KUBECONFIG = "kubeconfig.yaml"
_WEB_PORT, _KUBE_PORT = 443, 3026


class KubernetesService(OutputService[KubernetesOutput]):
    """Implements `bot.parts.Service`."""

    async def prepare(self) -> None:
        """See Service.prepare. Raises BadParameter (KUBE-NO-FOLDER) too."""
        check_folder(self._destination, embedded=bool(self._section.disable_exec_plugin))
        await self._destination.prepare([*NAMES, KUBECONFIG])

    async def generate(self, bot: Bot) -> None:
        """Write new certificates and the kubeconfig. Raises what `Bot.issue` and `Bot.proxy` raise, and the
        destination."""
        section = self._section
        await self._destination.check()
        wanted = Output(
            ssh_public_key="", tls_public_key="", roles=section.roles, kubernetes_cluster=section.kubernetes_cluster
        )
        with told(self._destination):
            held = await self._certified.renew(bot, wanted)
        contexts = [Context(name=f"{bot.cluster}-{section.kubernetes_cluster}")]
        user = login(self._destination, held, self._means.tbot, embedded=bool(section.disable_exec_plugin))
        written = kubeconfig.render(door(await bot.proxy(), held), contexts, user)
        await self._destination.write({**identity_set(held), KUBECONFIG: written})
        self._certified.tell(held)


def check_folder(destination: Destination, *, embedded: bool) -> None:
    """Raise BadParameter (KUBE-NO-FOLDER) where `kubectl` is to ask for certificates, and there is no folder from
    which they could come."""
    if not embedded and not destination.folder:
        error = BadParameter("KUBE-NO-FOLDER", destination=destination)
        log.warn(error.what)
        raise error


def login(destination: Destination, held: Held, tbot: str, *, embedded: bool) -> Plugin | Embedded:
    """Return how `kubectl` gets its certificate."""
    if embedded:
        return Embedded(certificate=held.tls_certificate, key=held.key)
    return Plugin(command=tbot, arguments=("kube", "credentials", f"--destination-dir={destination.folder}"))


def door(proxy: ProxyFacts, held: Held) -> Door:
    """Return where the clusters are reached: on the one port for everything, or on their own. Raises BadParameter
    (KIND-ADDRESS) for what the proxy says."""
    authorities = "".join(host_certificates(held))
    address = parse_addr(proxy.address, _WEB_PORT)
    if proxy.tls_routing:
        return Door(address=address, server_name=kubeconfig.tls_server_name(address.host), authorities=authorities)
    return Door(address=parse_addr(_advertised(proxy, address.host), _KUBE_PORT), authorities=authorities)


def _advertised(proxy: ProxyFacts, host: str) -> str:
    """Return what the proxy says of its port for Kubernetes; where that is only what it listens on, its host is that
    of everything else."""
    said = proxy.found.get("proxy", {}).get("kube", {})
    if public := said.get("public_addr"):
        return str(public)
    listening = parse_addr(str(said.get("listen_addr") or host), _KUBE_PORT)
    return str(listening._replace(host=host))
