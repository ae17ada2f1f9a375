"""pki.codec: the round-trip law, through real certificates of both kinds; both agree."""

from __future__ import annotations

import datetime as dt
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.model.identity import Identity, UserKind
from teleport.pki import codec, keys, ssh, x509
from tests.support import authorities

CLUSTER = authorities.cluster()
KEY = keys.make_p256(CLUSTER.entropy).public_key()

_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_NAME = _TEXT.filter(bool)
_NAMES = st.lists(_NAME, max_size=3).map(tuple)


def _is_principal(text: str) -> bool:
    try:
        ssh.check_principal(text)
    except BadParameter:
        return False
    return True


_PRINCIPALS = st.lists(
    st.text(max_size=8).map(lambda text: unicodedata.normalize("NFC", text)).filter(_is_principal), min_size=1,
    max_size=4, unique=True,
).map(tuple)  # fmt: skip
_ADDRESSES = st.one_of(st.just(""), st.ip_addresses(v=4).map(str), st.just("2001:db8::1"))
_EXPIRES = st.datetimes(dt.datetime(2026, 3, 2), dt.datetime(9998, 1, 1), timezones=st.just(dt.UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)

_KINDS: list[UserKind] = ["human", "bot", "host"]
_TRAITS = st.dictionaries(_TEXT, st.lists(st.text(st.characters(exclude_categories=("Cs",)))).map(tuple), max_size=2)


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    kind: UserKind = draw(st.sampled_from(_KINDS))
    return Identity(
        name=draw(_NAME), cluster=CLUSTER.name, kind=kind, roles=draw(_NAMES.filter(bool)), system_roles=draw(_NAMES),
        principals=draw(_PRINCIPALS), expires=draw(_EXPIRES), route_to_cluster=draw(_TEXT), login_ip=draw(_TEXT),
        traits=draw(_TRAITS),
        pinned_ip="" if kind == "host" else draw(_ADDRESSES), mfa_verified=draw(_TEXT), impersonator=draw(_TEXT),
        renewable=draw(st.booleans()), disallow_reissue=draw(st.booleans()), generation=draw(st.integers(0, 2**63 - 1)),
        active_requests=draw(_NAMES), private_key_policy=draw(_NAME), bot_name=draw(_TEXT),
        bot_instance_id=draw(_TEXT), join_token=draw(_TEXT), permit_pty=draw(st.booleans()),
        kubernetes_cluster=draw(_TEXT), kubernetes_users=draw(_NAMES), kubernetes_groups=draw(_NAMES),
        app_name=draw(_TEXT), app_public_addr=draw(_TEXT), app_cluster=draw(_TEXT), database_service=draw(_TEXT),
        database_protocol=draw(_TEXT), database_user=draw(_TEXT), database_name=draw(_TEXT),
        database_users=draw(_NAMES), database_names=draw(_NAMES),
        permit_agent_forwarding=draw(st.booleans()), permit_port_forwarding=draw(st.booleans()),
        permit_x11_forwarding=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(identities())
def test_decode_inverts_encode_in_both_forms(identity: Identity) -> None:
    from_tls = codec.from_x509(x509.parse(CLUSTER.tls(identity, KEY)))
    from_ssh = codec.from_ssh(ssh.parse(CLUSTER.ssh(identity, keys.ssh_blob(KEY)).blob))
    assert from_tls == from_ssh == identity


_PAIRS = st.tuples(
    st.sampled_from([oid for oid, _ in codec.to_subject(CLUSTER.identity())] + ["1.3.9999.1.14", "2.5.4.17", "1.2.3"]),
    st.one_of(_TEXT, st.sampled_from(["{}", "[", "-1", "\ud800", "true", '{"a":' * 2000])),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(_PAIRS, max_size=4))
def test_any_subject_raises_only_its_own_error(added: list[tuple[str, str]]) -> None:
    subject = (*codec.to_subject(CLUSTER.identity()), *added)
    try:
        codec.from_subject(subject, authorities.NOW)
    except BadParameter as error:
        assert error.code == "PKI-IDENTITY"  # noqa: PT017 - nothing else may come


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*sorted(codec.to_ssh(CLUSTER.identity()).extensions), "generation", "x", "teleport-traits"]),
        st.one_of(_TEXT, st.sampled_from(["{}", "[", '{"a":' * 2000])),
    )
)
def test_any_extension_raises_only_its_own_error(changed: dict[str, str]) -> None:
    fields = codec.to_ssh(CLUSTER.identity())
    blob = keys.ssh_blob(KEY)
    fields = fields._replace(extensions={**fields.extensions, **changed})
    body = ssh.Body(key=blob, nonce=bytes(32), serial=1, valid_after=1, authority=blob, **fields._asdict())
    try:
        codec.from_ssh(body)
    except BadParameter as error:
        assert error.code == "PKI-IDENTITY"  # noqa: PT017 - nothing else may come
