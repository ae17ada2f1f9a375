import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from teleport.api.pb import login_pb2 as _login_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IssueHostRequest(_message.Message):
    __slots__ = ("host_uuid", "node_name", "roles", "principals", "ssh_public_key", "tls_public_key", "ttl")
    HOST_UUID_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    host_uuid: str
    node_name: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    principals: _containers.RepeatedScalarFieldContainer[str]
    ssh_public_key: str
    tls_public_key: str
    ttl: _duration_pb2.Duration
    def __init__(self, host_uuid: _Optional[str] = ..., node_name: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., principals: _Optional[_Iterable[str]] = ..., ssh_public_key: _Optional[str] = ..., tls_public_key: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class IssueHostReply(_message.Message):
    __slots__ = ("ssh_certificate", "tls_certificate", "expires", "authorities")
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TLS_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    ssh_certificate: str
    tls_certificate: str
    expires: _timestamp_pb2.Timestamp
    authorities: _containers.RepeatedCompositeFieldContainer[_login_pb2.TrustedAuthority]
    def __init__(self, ssh_certificate: _Optional[str] = ..., tls_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., authorities: _Optional[_Iterable[_Union[_login_pb2.TrustedAuthority, _Mapping]]] = ...) -> None: ...

class IssueUserRequest(_message.Message):
    __slots__ = ("user", "ssh_public_key", "tls_public_key", "ttl")
    USER_FIELD_NUMBER: _ClassVar[int]
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    user: str
    ssh_public_key: str
    tls_public_key: str
    ttl: _duration_pb2.Duration
    def __init__(self, user: _Optional[str] = ..., ssh_public_key: _Optional[str] = ..., tls_public_key: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class IssueUserReply(_message.Message):
    __slots__ = ("ssh_certificate", "tls_certificate", "expires", "authorities")
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TLS_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    ssh_certificate: str
    tls_certificate: str
    expires: _timestamp_pb2.Timestamp
    authorities: _containers.RepeatedCompositeFieldContainer[_login_pb2.TrustedAuthority]
    def __init__(self, ssh_certificate: _Optional[str] = ..., tls_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., authorities: _Optional[_Iterable[_Union[_login_pb2.TrustedAuthority, _Mapping]]] = ...) -> None: ...

class IssueDatabaseRequest(_message.Message):
    __slots__ = ("hosts", "tls_public_key", "ttl")
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    tls_public_key: str
    ttl: _duration_pb2.Duration
    def __init__(self, hosts: _Optional[_Iterable[str]] = ..., tls_public_key: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class IssueDatabaseReply(_message.Message):
    __slots__ = ("tls_certificate", "expires", "authorities")
    TLS_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    tls_certificate: str
    expires: _timestamp_pb2.Timestamp
    authorities: _containers.RepeatedCompositeFieldContainer[_login_pb2.TrustedAuthority]
    def __init__(self, tls_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., authorities: _Optional[_Iterable[_Union[_login_pb2.TrustedAuthority, _Mapping]]] = ...) -> None: ...
