import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from teleport.api.pb import login_pb2 as _login_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetClusterCACertRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetClusterCACertReply(_message.Message):
    __slots__ = ("cluster", "certificates")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    certificates: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., certificates: _Optional[_Iterable[str]] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("init", "start", "solution")
    INIT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    SOLUTION_FIELD_NUMBER: _ClassVar[int]
    init: JoinInit
    start: JoinStart
    solution: bytes
    def __init__(self, init: _Optional[_Union[JoinInit, _Mapping]] = ..., start: _Optional[_Union[JoinStart, _Mapping]] = ..., solution: _Optional[bytes] = ...) -> None: ...

class JoinInit(_message.Message):
    __slots__ = ("token_name", "join_method", "system_role", "host_name", "client_version", "forwarded", "services")
    TOKEN_NAME_FIELD_NUMBER: _ClassVar[int]
    JOIN_METHOD_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_ROLE_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    token_name: str
    join_method: str
    system_role: str
    host_name: str
    client_version: str
    forwarded: JoinForwarded
    services: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token_name: _Optional[str] = ..., join_method: _Optional[str] = ..., system_role: _Optional[str] = ..., host_name: _Optional[str] = ..., client_version: _Optional[str] = ..., forwarded: _Optional[_Union[JoinForwarded, _Mapping]] = ..., services: _Optional[_Iterable[str]] = ...) -> None: ...

class JoinForwarded(_message.Message):
    __slots__ = ("client_address",)
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    client_address: str
    def __init__(self, client_address: _Optional[str] = ...) -> None: ...

class JoinAccepted(_message.Message):
    __slots__ = ("join_method", "signature_algorithm_suite", "cluster")
    JOIN_METHOD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_ALGORITHM_SUITE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    join_method: str
    signature_algorithm_suite: str
    cluster: str
    def __init__(self, join_method: _Optional[str] = ..., signature_algorithm_suite: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class JoinStart(_message.Message):
    __slots__ = ("ssh_public_key", "tls_public_key", "additional_principals", "dns_names", "expires", "proof")
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    ADDITIONAL_PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    DNS_NAMES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    ssh_public_key: str
    tls_public_key: str
    additional_principals: _containers.RepeatedScalarFieldContainer[str]
    dns_names: _containers.RepeatedScalarFieldContainer[str]
    expires: _timestamp_pb2.Timestamp
    proof: bytes
    def __init__(self, ssh_public_key: _Optional[str] = ..., tls_public_key: _Optional[str] = ..., additional_principals: _Optional[_Iterable[str]] = ..., dns_names: _Optional[_Iterable[str]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., proof: _Optional[bytes] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("accepted", "challenge", "result")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    accepted: JoinAccepted
    challenge: bytes
    result: JoinResult
    def __init__(self, accepted: _Optional[_Union[JoinAccepted, _Mapping]] = ..., challenge: _Optional[bytes] = ..., result: _Optional[_Union[JoinResult, _Mapping]] = ...) -> None: ...

class JoinResult(_message.Message):
    __slots__ = ("host_id", "cluster", "system_roles", "ssh_certificate", "tls_certificate", "expires", "authorities", "keepsake")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_ROLES_FIELD_NUMBER: _ClassVar[int]
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TLS_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    KEEPSAKE_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    cluster: str
    system_roles: _containers.RepeatedScalarFieldContainer[str]
    ssh_certificate: str
    tls_certificate: str
    expires: _timestamp_pb2.Timestamp
    authorities: _containers.RepeatedCompositeFieldContainer[_login_pb2.TrustedAuthority]
    keepsake: bytes
    def __init__(self, host_id: _Optional[str] = ..., cluster: _Optional[str] = ..., system_roles: _Optional[_Iterable[str]] = ..., ssh_certificate: _Optional[str] = ..., tls_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., authorities: _Optional[_Iterable[_Union[_login_pb2.TrustedAuthority, _Mapping]]] = ..., keepsake: _Optional[bytes] = ...) -> None: ...
