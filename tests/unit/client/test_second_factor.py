"""Which endpoints a sign-in uses, when a code is asked for, and answers that are not believed."""

import pytest

from teleport.base.errors import NotAuthenticated, NotSupported
from teleport.client.second_factor import exchange

REQUEST = {"user": "alice", "password": "pw", "ssh_pub_key": "s", "tls_pub_key": "t", "ttl": "0"}
BEGIN, FINISH, OLD = "/webapi/mfa/login/begin", "/webapi/mfa/login/finish", "/webapi/ssh/certs"


class Proxy:
    def __init__(self, **answers):
        self.asked = []
        self.answers = {BEGIN: {"totp_challenge": True}, FINISH: {"cert": "c"}, OLD: {"cert": "c"}, **answers}

    def post(self, path, body):
        self.asked.append((path, body))
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer


def never():
    raise AssertionError("no code is needed")


@pytest.mark.parametrize(
    "settings", [{}, {"auth": {}}, {"auth": {"second_factor": "off"}}, {"auth": None}, {"auth": []}]
)
def test_password_alone_where_no_factor_is_asked_for(settings):
    proxy = Proxy()
    assert exchange(proxy, settings, REQUEST, never) == {"cert": "c"}
    assert proxy.asked == [(OLD, REQUEST)]


@pytest.mark.parametrize("kind", ["otp", "on", "optional"])
def test_code_goes_with_the_second_step(kind):
    proxy = Proxy()
    assert exchange(proxy, {"auth": {"second_factor": kind}}, REQUEST, lambda: "123456") == {"cert": "c"}
    assert proxy.asked == [(BEGIN, {"user": "alice", "pass": "pw"}), (FINISH, {**REQUEST, "totp_code": "123456"})]


@pytest.mark.parametrize(
    "answer", [{}, {"totp_challenge": False}, {"totp_challenge": "no"}, {"webauthn_challenge": {}}]
)
def test_factor_that_is_not_known_is_refused_before_a_code_is_asked_for(answer):
    proxy = Proxy(**{BEGIN: answer})
    with pytest.raises(NotSupported) as caught:
        exchange(proxy, {"auth": {"second_factor": "web\nauthn"}}, REQUEST, never)
    assert caught.value.code == "CLIENT-FACTOR"
    assert "\n" not in str(caught.value)
    assert [path for path, _ in proxy.asked] == [BEGIN]


def test_errors_of_the_proxy_pass_through():
    proxy = Proxy(**{FINISH: NotAuthenticated("AUTH-LOGIN-MFA")})
    with pytest.raises(NotAuthenticated):
        exchange(proxy, {"auth": {"second_factor": "otp"}}, REQUEST, lambda: "1")
