from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PingReply(_message.Message):
    __slots__ = ("cluster", "version")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    version: str
    def __init__(self, cluster: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ClusterStatus(_message.Message):
    __slots__ = ("cluster", "version", "ca_pins", "authorities")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CA_PINS_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    version: str
    ca_pins: _containers.RepeatedScalarFieldContainer[str]
    authorities: _containers.RepeatedCompositeFieldContainer[AuthorityStatus]
    def __init__(self, cluster: _Optional[str] = ..., version: _Optional[str] = ..., ca_pins: _Optional[_Iterable[str]] = ..., authorities: _Optional[_Iterable[_Union[AuthorityStatus, _Mapping]]] = ...) -> None: ...

class AuthorityStatus(_message.Message):
    __slots__ = ("type", "state", "phase", "last_rotated")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    LAST_ROTATED_FIELD_NUMBER: _ClassVar[int]
    type: str
    state: str
    phase: str
    last_rotated: str
    def __init__(self, type: _Optional[str] = ..., state: _Optional[str] = ..., phase: _Optional[str] = ..., last_rotated: _Optional[str] = ...) -> None: ...

class ClusterSettings(_message.Message):
    __slots__ = ("cluster", "second_factor", "keep_alive_interval", "keep_alive_count_max", "client_idle_timeout", "client_idle_timeout_message", "disconnect_expired_cert", "proxy_listener_mode", "agent_connections")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SECOND_FACTOR_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIVE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIVE_COUNT_MAX_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IDLE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IDLE_TIMEOUT_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DISCONNECT_EXPIRED_CERT_FIELD_NUMBER: _ClassVar[int]
    PROXY_LISTENER_MODE_FIELD_NUMBER: _ClassVar[int]
    AGENT_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    second_factor: str
    keep_alive_interval: float
    keep_alive_count_max: int
    client_idle_timeout: float
    client_idle_timeout_message: str
    disconnect_expired_cert: bool
    proxy_listener_mode: str
    agent_connections: int
    def __init__(self, cluster: _Optional[str] = ..., second_factor: _Optional[str] = ..., keep_alive_interval: _Optional[float] = ..., keep_alive_count_max: _Optional[int] = ..., client_idle_timeout: _Optional[float] = ..., client_idle_timeout_message: _Optional[str] = ..., disconnect_expired_cert: _Optional[bool] = ..., proxy_listener_mode: _Optional[str] = ..., agent_connections: _Optional[int] = ...) -> None: ...
