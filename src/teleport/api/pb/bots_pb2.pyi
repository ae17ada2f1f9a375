import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from teleport.api.pb import login_pb2 as _login_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RenewBotRequest(_message.Message):
    __slots__ = ("ssh_public_key", "tls_public_key", "expires", "hostname", "host_id", "told")
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    ssh_public_key: str
    tls_public_key: str
    expires: _timestamp_pb2.Timestamp
    hostname: str
    host_id: str
    told: int
    def __init__(self, ssh_public_key: _Optional[str] = ..., tls_public_key: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hostname: _Optional[str] = ..., host_id: _Optional[str] = ..., told: _Optional[int] = ...) -> None: ...

class IssueOutputRequest(_message.Message):
    __slots__ = ("ssh_public_key", "tls_public_key", "roles", "expires", "allow_reissue", "database", "app", "kubernetes_cluster")
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    TLS_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ALLOW_REISSUE_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    APP_FIELD_NUMBER: _ClassVar[int]
    KUBERNETES_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ssh_public_key: str
    tls_public_key: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    expires: _timestamp_pb2.Timestamp
    allow_reissue: bool
    database: DatabaseRoute
    app: str
    kubernetes_cluster: str
    def __init__(self, ssh_public_key: _Optional[str] = ..., tls_public_key: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allow_reissue: _Optional[bool] = ..., database: _Optional[_Union[DatabaseRoute, _Mapping]] = ..., app: _Optional[str] = ..., kubernetes_cluster: _Optional[str] = ...) -> None: ...

class DatabaseRoute(_message.Message):
    __slots__ = ("service", "name", "username")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    service: str
    name: str
    username: str
    def __init__(self, service: _Optional[str] = ..., name: _Optional[str] = ..., username: _Optional[str] = ...) -> None: ...

class BotCertificates(_message.Message):
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

class BeatRequest(_message.Message):
    __slots__ = ("hostname", "is_startup", "uptime", "one_shot", "join_method", "version", "architecture", "os", "kind", "service_health")
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    IS_STARTUP_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    ONE_SHOT_FIELD_NUMBER: _ClassVar[int]
    JOIN_METHOD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SERVICE_HEALTH_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    is_startup: bool
    uptime: float
    one_shot: bool
    join_method: str
    version: str
    architecture: str
    os: str
    kind: str
    service_health: _containers.RepeatedCompositeFieldContainer[ServiceHealth]
    def __init__(self, hostname: _Optional[str] = ..., is_startup: _Optional[bool] = ..., uptime: _Optional[float] = ..., one_shot: _Optional[bool] = ..., join_method: _Optional[str] = ..., version: _Optional[str] = ..., architecture: _Optional[str] = ..., os: _Optional[str] = ..., kind: _Optional[str] = ..., service_health: _Optional[_Iterable[_Union[ServiceHealth, _Mapping]]] = ...) -> None: ...

class ServiceHealth(_message.Message):
    __slots__ = ("name", "status", "reason", "updated_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: str
    reason: str
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BeatReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StandingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StandingReply(_message.Message):
    __slots__ = ("generation", "public_key", "authenticated_at", "address", "hostname")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_AT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    generation: int
    public_key: str
    authenticated_at: _timestamp_pb2.Timestamp
    address: str
    hostname: str
    def __init__(self, generation: _Optional[int] = ..., public_key: _Optional[str] = ..., authenticated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., address: _Optional[str] = ..., hostname: _Optional[str] = ...) -> None: ...
