"""The endpoint with which servers without an agent join."""

from __future__ import annotations

import base64
from typing import Any

from teleport.api.openssh_messages import statement
from teleport.pki import keys, ssh
from teleport.web.guesses import LIMIT
from tests.support import web_site
from tests.support.auth_cluster import CLUSTER, document_of

TOKEN = "0123456789abcdef0123456789abcdef"


def wish(cluster: Any, key: keys.PrivateKey, **changes: Any) -> dict[str, Any]:
    asked = {
        "token": TOKEN, "hostname": "plain-1", "address": "192.0.2.7:22", "labels": {"env": "dev"},
        "ssh_pub_key": keys.ssh_line(keys.ssh_blob(key.public_key())),
    }  # fmt: skip
    return {**asked, **changes}


def test_a_token_against_a_certificate() -> None:
    async def story(cluster: Any, site: Any) -> None:
        await cluster.admin.create(document_of("token", TOKEN, {"roles": ["Node"]}))
        key = keys.make_ed25519(cluster.entropy)
        first = await site.post("/webapi/openssh/join", wish(cluster, key))
        assert first.status == 200, first.text
        assert first.json["cluster"] == CLUSTER
        assert ssh.parse(keys.load_ssh_line(first.json["cert"])).type == "host"
        assert first.json["user_cas"][0].startswith("ssh-ed25519 ")
        blob = keys.ssh_blob(key.public_key())
        signature = keys.ssh_signature(key.public_key(), keys.sign(key, statement(TOKEN, blob)))
        former = {"certificate": first.json["cert"], "signature": base64.b64encode(signature).decode()}
        again = await site.post("/webapi/openssh/join", wish(cluster, key, former=former))
        assert again.json["host_uuid"] == first.json["host_uuid"]
        broken = await site.post("/webapi/openssh/join", wish(cluster, key, former={**former, "signature": "?"}))
        assert broken.status == 400
        (event, _) = await cluster.events("instance.join")
        assert event["addr.remote"] == web_site.CLIENT

    web_site.run(story)


def test_guessing_tokens_ends() -> None:
    async def story(cluster: Any, site: Any) -> None:
        asked = wish(cluster, keys.make_ed25519(cluster.entropy))
        codes = [
            (await site.post("/webapi/openssh/join", {**asked, "token": f"{number:032x}"})).json["error"]["code"]
            for number in range(LIMIT + 1)
        ]
        assert codes == ["AUTH-JOIN-TOKEN"] * LIMIT + ["WEB-GUESSES"]

    web_site.run(story)
