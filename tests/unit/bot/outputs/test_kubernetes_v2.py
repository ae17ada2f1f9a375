"""Output `kubernetes/v2`: a context for each cluster that the selectors mean."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from teleport.base.errors import AccessDenied, BadParameter, NotFound
from teleport.base.struct import Switch
from teleport.bot.outputs import kubernetes_v2
from teleport.bot.outputs.certified import NAMES
from teleport.bot.outputs.kubernetes_v2 import Cluster, KubernetesV2Service, context_name, contexts
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import KubernetesSelector, KubernetesV2Output
from tests.support.bot_outputs import TBOT, Issuing, Place, generate, means
from tests.support.log_lines import said as said

DENIED = AccessDenied("POL-NO-VERB", denied="", reason="", hint="")


class Shown:
    """A cluster, or an agent that serves it, in a list."""

    def __init__(self, name: str, **labels: str) -> None:
        self.name = name
        self._labels = labels

    def labels_now(self) -> Mapping[str, str]:
        return self._labels


def section(*selectors: KubernetesSelector, **fields: Any) -> KubernetesV2Output:
    return KubernetesV2Output(destination=DirectoryDestination(path="/opt/machine-id"), selectors=selectors, **fields)


def generated(place: Place, bot: Issuing, wanted: KubernetesV2Output) -> dict[str, Any]:
    service = KubernetesV2Service(wanted, name="k", ttl=3600.0, interval=1200.0, means=means(place))
    generate(service, bot)
    assert set(place.files) == {*NAMES, "kubeconfig.yaml"} == set(place.names)
    found: dict[str, Any] = yaml.safe_load(place.files["kubeconfig.yaml"])
    return found


def test_one_certificate_is_for_every_cluster() -> None:
    """S1-48: by default kubectl asks tbot, in this output as well."""
    shown = {"kube_cluster": [Shown("a", env="dev")], "kube_server": [Shown("b", env="dev"), Shown("c", env="prod")]}
    bot = Issuing(shown)
    wanted = section(KubernetesSelector(name="c"), KubernetesSelector(labels={"env": "dev"}, default_namespace="web"))
    found = generated(Place(), bot, wanted)
    assert [each["name"] for each in found["contexts"]] == ["example.com-c", "example.com-a", "example.com-b"]
    assert [each["context"].get("namespace") for each in found["contexts"]] == [None, "web", "web"]
    assert [each["cluster"]["server"] for each in found["clusters"]] == [
        f"https://proxy.example.com:443/v1/teleport/ZXhhbXBsZS5jb20/{name}" for name in ("Yw", "YQ", "Yg")
    ]
    assert [each["user"]["exec"]["command"] for each in found["users"]] == [TBOT] * 3
    (asked,) = bot.asked
    assert (asked.kubernetes_cluster, asked.roles) == ("", ())
    (looked,) = bot.seen
    assert looked is not None, "it is looked up as whom the certificate names"


def test_the_certificate_may_stand_in_the_kubeconfig() -> None:
    wanted = section(KubernetesSelector(name="a"), disable_exec_plugin=Switch(True))
    place = Place(folder="")
    (user,) = generated(place, Issuing({"kube_server": DENIED, "kube_cluster": [Shown("a")]}), wanted)["users"]
    assert set(user["user"]) == {"client-certificate-data", "client-key-data"}


def test_the_plugin_needs_a_folder() -> None:
    """S1-51, for this output."""
    with pytest.raises(BadParameter) as caught:
        generated(Place(folder=""), Issuing(), section(KubernetesSelector(name="a")))
    assert caught.value.code == "KUBE-NO-FOLDER"


A, B = Cluster("a", {"env": "dev", "team": "web"}), Cluster("b", {"env": "prod"})


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        ([KubernetesSelector(name="b")], ["b"]),
        ([KubernetesSelector(labels={"*": "*"})], ["a", "b"]),
        ([KubernetesSelector(labels={"env": "*", "team": "w*"})], ["a"]),
        ([KubernetesSelector(name="b"), KubernetesSelector(labels={"*": "*"})], ["b", "a"]),
    ],
)
def test_selectors(selectors: list[KubernetesSelector], names: list[str]) -> None:
    found = contexts(section(*selectors, context_name_template="{{.KubeName}}"), "example.com", [A, B])
    assert [context.name for context in found] == names


def test_a_cluster_that_is_gone_is_noted(said: io.StringIO) -> None:
    wanted = section(KubernetesSelector(name="gone"), KubernetesSelector(labels={"env": "prod"}))
    (found,) = contexts(wanted, "example.com", [A, B])
    assert found.name == "example.com-b"
    assert "No Kubernetes cluster matches a selector" in said.getvalue()


def test_no_cluster_at_all_is_an_error() -> None:
    wanted = section(KubernetesSelector(name="x"), KubernetesSelector(labels={"env": "x", "a": "b"}))
    with pytest.raises(NotFound) as caught:
        contexts(wanted, "example.com", [A, B])
    assert caught.value.code == "KUBE-NONE"
    assert "name x; labels a=b,env=x" in caught.value.what


def test_two_clusters_cannot_have_one_name() -> None:
    wanted = section(KubernetesSelector(labels={"*": "*"}), context_name_template="prod")
    with pytest.raises(BadParameter) as caught:
        contexts(wanted, "example.com", [A, B])
    assert caught.value.code == "KUBE-CONTEXT"
    assert "a and b" in caught.value.what


def test_there_are_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_v2, "_MOST", 1)
    with pytest.raises(BadParameter) as caught:
        contexts(section(KubernetesSelector(labels={"*": "*"})), "example.com", [A, B])
    assert caught.value.code == "KUBE-MANY"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{.ClusterName}}-{{.KubeName}}", "example.com-a"),
        ("{{ .KubeName }}/{{.Labels.team}}/{{.Labels.none}}", "a/web/"),
        ('{{index .Labels "env"}}', "dev"),
        ("fixed", "fixed"),
    ],
)
def test_names_of_contexts(template: str, name: str) -> None:
    assert context_name(template, "example.com", A) == name


@pytest.mark.parametrize(
    "template", ["{{.Kube}}", "{{- .KubeName}}", "{{", "{{if .KubeName}}x{{end}}", "{{.KubeName | printf}}"]
)
def test_what_is_not_a_field_is_refused_at_the_start(template: str) -> None:
    wanted = section(KubernetesSelector(name="a"), context_name_template=template)
    with pytest.raises(BadParameter) as caught:
        generated(Place(), Issuing({"kube_cluster": [Shown("a")]}), wanted)
    assert caught.value.code == "KUBE-TEMPLATE"
