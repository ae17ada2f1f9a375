"""Output `kubernetes`: the kubeconfig, and how kubectl gets its certificate."""

from __future__ import annotations

import base64
import dataclasses
import io
from typing import Any

import pytest
import yaml

from teleport.base.errors import BadParameter
from teleport.base.struct import Switch
from teleport.bot.outputs.certified import NAMES
from teleport.bot.outputs.kubernetes import KubernetesService
from teleport.bot.parts import ProxyFacts
from teleport.model.config.tbot_destinations import KubernetesSecretDestination
from teleport.model.config.tbot_services import KubernetesOutput
from tests.support.bot_outputs import PROXY, TBOT, Issuing, Place, generate, means
from tests.support.log_lines import said as said

NAME = "example.com-prod"


def generated(place: Place, *, embedded: bool = False, bot: Issuing | None = None) -> dict[str, Any]:
    """Return the kubeconfig."""
    bot = bot or Issuing()
    section = KubernetesOutput(
        destination=KubernetesSecretDestination(name="identity-output"), kubernetes_cluster="prod",
        disable_exec_plugin=Switch(embedded), roles=("kube",),
    )  # fmt: skip
    service = KubernetesService(section, name="kubernetes-output-1", ttl=3600.0, interval=1200.0, means=means(place))
    generate(service, bot)
    assert set(place.files) == {*NAMES, "kubeconfig.yaml"} == set(place.names)
    found: dict[str, Any] = yaml.safe_load(place.files["kubeconfig.yaml"])
    return found


def test_kubectl_asks_tbot() -> None:
    """S1-48: in a folder the kubeconfig has the exec plugin, if nothing else is said."""
    bot = Issuing()
    found = generated(Place(), bot=bot)
    (asked,) = bot.asked
    assert (asked.kubernetes_cluster, asked.roles) == ("prod", ("kube",))
    (user,) = found["users"]
    assert (user["name"], found["current-context"]) == (NAME, NAME)
    assert user["user"]["exec"]["command"] == TBOT
    assert user["user"]["exec"]["args"] == ["kube", "credentials", "--destination-dir=/opt/machine-id"]


def test_the_certificate_may_stand_in_the_kubeconfig() -> None:
    """S1-49: with `disable_exec_plugin` there is no plugin, and a Secret will do."""
    place = Place(folder="")
    (user,) = generated(place, embedded=True)["users"]
    assert {name: base64.b64decode(text) for name, text in user["user"].items()} == {
        "client-certificate-data": place.files["tlscert"], "client-key-data": place.files["key"]
    }  # fmt: skip


def test_a_secret_has_no_folder_for_the_plugin(said: io.StringIO) -> None:
    """S1-51: the text is logged, and nothing is asked for and nothing written."""
    place, bot = Place(folder=""), Issuing()
    with pytest.raises(BadParameter) as caught:
        generated(place, bot=bot)
    text = "Destination kubernetes_secret: identity-output must be a directory in exec plugin mode"
    assert caught.value.what == text
    assert "disable_exec_plugin: true" in caught.value.fix
    assert text in said.getvalue()
    assert (place.files, bot.asked) == ({}, [])


def cluster_of(proxy: ProxyFacts) -> dict[str, str]:
    (cluster,) = generated(Place(), bot=Issuing(proxy=proxy))["clusters"]
    found: dict[str, str] = cluster["cluster"]
    return found


def facts(*, tls_routing: bool = True, address: str = PROXY.address, **kube: str) -> ProxyFacts:
    return dataclasses.replace(PROXY, address=address, tls_routing=tls_routing, found={"proxy": {"kube": kube}})


def test_on_one_port_a_name_says_that_it_is_kubernetes() -> None:
    place = Place()
    (cluster,) = generated(place)["clusters"]
    assert cluster == {
        "name": NAME,
        "cluster": {
            "server": "https://proxy.example.com:443",
            "tls-server-name": "kube-teleport-proxy-alpn.proxy.example.com",
            "certificate-authority-data": base64.b64encode(place.files["teleport-host-ca.crt"]).decode(),
        },
    }


@pytest.mark.parametrize(
    ("proxy", "server"),
    [
        (facts(tls_routing=False, public_addr="kube.example.com:3027"), "https://kube.example.com:3027"),
        (facts(tls_routing=False, public_addr="kube.example.com"), "https://kube.example.com:3026"),
        (facts(tls_routing=False, listen_addr="0.0.0.0:13026"), "https://proxy.example.com:13026"),
        (facts(tls_routing=False), "https://proxy.example.com:3026"),
        (facts(address="proxy.example.com"), "https://proxy.example.com:443"),
    ],
)
def test_with_separate_ports_it_is_its_own(proxy: ProxyFacts, server: str) -> None:
    cluster = cluster_of(proxy)
    assert cluster["server"] == server
    assert ("tls-server-name" in cluster) == proxy.tls_routing
