"""Whether a client really logged in: the spawner's own check of what the SSH Service tells it.

The service decides and speaks with the network, and so may be taken over one day. The spawner therefore believes
signatures alone: the client's over this connection and this request (RFC 4252 §7), and the user authority's over
the client's certificate. Importing this file costs a tenth of a second and memory; nothing here keeps a state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from teleport.agents.ssh.spawner_messages import Admit
from teleport.base.errors import BadParameter, NotAuthenticated
from teleport.model.kinds.cert_authority import CertAuthority, CertAuthoritySpec, KeySet, SshKey
from teleport.model.resource import Metadata
from teleport.pki import keys, login_request
from teleport.pki.check import check_user
from teleport.pki.ssh_wire import Malformed


def authorities(lines: Mapping[str, str]) -> tuple[CertAuthority, ...]:
    """Return the user authorities with these keys. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    try:
        for line in lines:
            keys.load_ssh_blob(keys.load_ssh_line(line))
    except BadParameter as error:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem=error.what[:200]) from None
    return tuple(_authority(line, owner) for line, owner in lines.items())


def _authority(line: str, owner: str) -> CertAuthority:
    active = KeySet(ssh=(SshKey(public_key=line),))
    spec = CertAuthoritySpec(type="user", cluster_name=owner, active_keys=active)
    return CertAuthority(version="v2", sub_kind="user", metadata=Metadata(name=owner), spec=spec)


def verify(proof: Admit, trusted: Sequence[CertAuthority], cluster: str, now: dt.datetime) -> int:
    """Check that the client with this proof may log in now, and return when its certificate ends (seconds since 1970).

    Raises NotAuthenticated (SSH-ADMIT-PROOF) and what `pki.check.check_user` raises."""
    try:
        account, certificate = login_request.read(proof.session_id, proof.message, proof.signature)
        if account != proof.login:
            raise Malformed("it was signed for another account")
    except Malformed as error:
        raise NotAuthenticated("SSH-ADMIT-PROOF", problem=error) from None
    check_user(
        certificate.blob, proven_key=certificate.key, login=proof.login, authorities=trusted, now=now,
        source_ip=proof.source, cluster=cluster,
    )  # fmt: skip
    return certificate.valid_before
