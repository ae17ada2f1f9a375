"""The two-step sign-in of programs."""

import pytest

from tests.support import auth_cluster, web_site
from tests.support.auth_cluster import CLUSTER, PASSWORD
from tests.support.enrolled import enrolled

BEGIN, FINISH, OLD = "/webapi/mfa/login/begin", "/webapi/mfa/login/finish", "/webapi/ssh/certs"


def run(story):
    web_site.run(story, "otp")


def wish(cluster, **changes):
    keys = auth_cluster.public_keys(cluster.entropy)
    wanted = {"user": "alice", "password": PASSWORD, "ssh_pub_key": keys["ssh_public_key"],
              "tls_pub_key": keys["tls_public_key"], "ttl": "1h"}  # fmt: skip
    return {**wanted, **changes}


def test_first_step_says_what_is_asked_for_to_everybody_alike():
    async def story(cluster, site):
        await enrolled(cluster)
        for body in ({"user": "alice", "pass": PASSWORD}, {"user": "alice", "pass": "no"}, {"user": "nobody"}, {}):
            reply = await site.post(BEGIN, body)
            assert (reply.status, reply.json) == (200, {"totp_challenge": True})
        assert await cluster.events("user.login") == []

    run(story)


def test_password_and_code_give_certificates():
    async def story(cluster, site):
        person = await enrolled(cluster)
        more = {"compatibility": "standard", "route_to_cluster": CLUSTER, "webauthn_challenge_response": None}
        reply = await site.post(FINISH, wish(cluster, totp_code=person.code(), **more))
        assert reply.status == 200
        assert set(reply.json) == {"username", "cert", "tls_cert", "host_signers"}
        assert reply.json["username"] == "alice"
        again = await site.post(FINISH, wish(cluster, totp_code=person.code()))
        assert (again.status, again.json["error"]["code"]) == (401, "AUTH-LOGIN-MFA")

    run(story)


def test_whatever_was_wrong_is_told_alike():
    async def story(cluster, site):
        person = await enrolled(cluster)
        wrong, right = person.wrong_code(), person.code()
        replies = [
            await site.post(FINISH, wish(cluster, **changes))
            for changes in ({"totp_code": wrong}, {"totp_code": right, "password": "wrong password!"},
                            {"totp_code": right, "user": "nobody"})
        ]  # fmt: skip
        assert {reply.status for reply in replies} == {401}
        assert replies[0].json == replies[1].json == replies[2].json
        assert replies[0].json["error"]["message"] == "invalid username, password or second factor"

    run(story)


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_password_alone_is_told_to_bring_a_code(user):
    async def story(cluster, site):
        await enrolled(cluster)
        replies = [await site.post(path, wish(cluster, user=user)) for path in (OLD, FINISH)]
        replies.append(await site.post(OLD, wish(cluster, user=user, password="wrong password!")))
        assert [(reply.status, reply.json["error"]["code"]) for reply in replies] == [(400, "AUTH-MFA-REQUIRED")] * 3
        assert "/webapi/mfa/login" in replies[0].json["error"]["fix"]

    run(story)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        (FINISH, {"webauthn_challenge_response": {}}),
        (FINISH, {"compatibility": "oldssh"}),
        (FINISH, {"route_to_cluster": "leaf"}),
        (FINISH, {"kubernetes_cluster": "k"}),
        (BEGIN, {"passwordless": True}),
        (FINISH, {"totp_code": 123456}),
        (FINISH, {"extra": 1}),
        (BEGIN, {"extra": 1}),
    ],
)
def test_what_nothing_acts_on_is_refused(path, changes):
    async def story(cluster, site):
        person = await enrolled(cluster)
        body = {"user": "alice"} if path == BEGIN else wish(cluster, totp_code=person.code())
        reply = await site.post(path, {**body, **changes})
        assert (reply.status, reply.json["error"]["code"]) == (400, "WEB-REQUEST")
        assert await cluster.events("user.login") == []

    run(story)


def test_without_second_factors_both_ways_lead_in():
    async def story(cluster, site):
        await cluster.make_user("alice", "access")
        assert (await site.post(BEGIN, {"user": "alice", "pass": PASSWORD})).json == {"totp_challenge": False}
        assert (await site.post(FINISH, wish(cluster))).status == 200
        assert (await site.post(OLD, wish(cluster))).status == 200

    web_site.run(story)
