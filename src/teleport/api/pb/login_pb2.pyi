import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeInviteRequest(_message.Message):
    __slots__ = ("token", "browser")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    token: str
    browser: str
    def __init__(self, token: _Optional[str] = ..., browser: _Optional[str] = ...) -> None: ...

class InviteDescription(_message.Message):
    __slots__ = ("user", "purpose", "expires", "enrolment")
    USER_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ENROLMENT_FIELD_NUMBER: _ClassVar[int]
    user: str
    purpose: str
    expires: _timestamp_pb2.Timestamp
    enrolment: Enrolment
    def __init__(self, user: _Optional[str] = ..., purpose: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., enrolment: _Optional[_Union[Enrolment, _Mapping]] = ...) -> None: ...

class Enrolment(_message.Message):
    __slots__ = ("secret", "uri")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    secret: str
    uri: str
    def __init__(self, secret: _Optional[str] = ..., uri: _Optional[str] = ...) -> None: ...

class CompleteInviteRequest(_message.Message):
    __slots__ = ("token", "password", "client_address", "browser", "code", "device_name")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    token: str
    password: str
    client_address: str
    browser: str
    code: str
    device_name: str
    def __init__(self, token: _Optional[str] = ..., password: _Optional[str] = ..., client_address: _Optional[str] = ..., browser: _Optional[str] = ..., code: _Optional[str] = ..., device_name: _Optional[str] = ...) -> None: ...

class CompleteInviteReply(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: str
    def __init__(self, user: _Optional[str] = ...) -> None: ...

class LoginRequest(_message.Message):
    __slots__ = ("user", "password", "ssh_public_key", "tls_public_key", "ttl", "client_address", "code")
    USER_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    user: str
    password: str
    ssh_public_key: str
    tls_public_key: str
    ttl: _duration_pb2.Duration
    client_address: str
    code: str
    def __init__(self, user: _Optional[str] = ..., password: _Optional[str] = ..., ssh_public_key: _Optional[str] = ..., tls_public_key: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., client_address: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class LoginReply(_message.Message):
    __slots__ = ("user", "ssh_certificate", "tls_certificate", "expires", "host_authorities")
    USER_FIELD_NUMBER: _ClassVar[int]
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TLS_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    HOST_AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    user: str
    ssh_certificate: str
    tls_certificate: str
    expires: _timestamp_pb2.Timestamp
    host_authorities: _containers.RepeatedCompositeFieldContainer[TrustedAuthority]
    def __init__(self, user: _Optional[str] = ..., ssh_certificate: _Optional[str] = ..., tls_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., host_authorities: _Optional[_Iterable[_Union[TrustedAuthority, _Mapping]]] = ...) -> None: ...

class TrustedAuthority(_message.Message):
    __slots__ = ("cluster", "type", "ssh_keys", "tls_certificates")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SSH_KEYS_FIELD_NUMBER: _ClassVar[int]
    TLS_CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    type: str
    ssh_keys: _containers.RepeatedScalarFieldContainer[str]
    tls_certificates: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., type: _Optional[str] = ..., ssh_keys: _Optional[_Iterable[str]] = ..., tls_certificates: _Optional[_Iterable[str]] = ...) -> None: ...
