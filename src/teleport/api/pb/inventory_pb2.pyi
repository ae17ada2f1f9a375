import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentWord(_message.Message):
    __slots__ = ("hello", "heartbeat", "pong", "goodbye")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: AgentHello
    heartbeat: AgentHeartbeat
    pong: int
    goodbye: AgentGoodbye
    def __init__(self, hello: _Optional[_Union[AgentHello, _Mapping]] = ..., heartbeat: _Optional[_Union[AgentHeartbeat, _Mapping]] = ..., pong: _Optional[int] = ..., goodbye: _Optional[_Union[AgentGoodbye, _Mapping]] = ...) -> None: ...

class AgentHello(_message.Message):
    __slots__ = ("version", "hostname", "services", "external_upgrader", "external_upgrader_version", "process_id")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_UPGRADER_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_UPGRADER_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    version: str
    hostname: str
    services: _containers.RepeatedScalarFieldContainer[str]
    external_upgrader: str
    external_upgrader_version: str
    process_id: str
    def __init__(self, version: _Optional[str] = ..., hostname: _Optional[str] = ..., services: _Optional[_Iterable[str]] = ..., external_upgrader: _Optional[str] = ..., external_upgrader_version: _Optional[str] = ..., process_id: _Optional[str] = ...) -> None: ...

class AgentHeartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgentGoodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AuthWord(_message.Message):
    __slots__ = ("hello", "ping", "clone")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    CLONE_FIELD_NUMBER: _ClassVar[int]
    hello: AuthHello
    ping: int
    clone: CloneFound
    def __init__(self, hello: _Optional[_Union[AuthHello, _Mapping]] = ..., ping: _Optional[int] = ..., clone: _Optional[_Union[CloneFound, _Mapping]] = ...) -> None: ...

class AuthHello(_message.Message):
    __slots__ = ("version", "server_id")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    version: str
    server_id: str
    def __init__(self, version: _Optional[str] = ..., server_id: _Optional[str] = ...) -> None: ...

class CloneFound(_message.Message):
    __slots__ = ("address", "hostname")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    address: str
    hostname: str
    def __init__(self, address: _Optional[str] = ..., hostname: _Optional[str] = ...) -> None: ...

class ListConnectedRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListConnectedReply(_message.Message):
    __slots__ = ("instances",)
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[ConnectedInstance]
    def __init__(self, instances: _Optional[_Iterable[_Union[ConnectedInstance, _Mapping]]] = ...) -> None: ...

class ConnectedInstance(_message.Message):
    __slots__ = ("server_id", "hostname", "services", "version", "external_upgrader", "external_upgrader_version", "address", "since")
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_UPGRADER_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_UPGRADER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    hostname: str
    services: _containers.RepeatedScalarFieldContainer[str]
    version: str
    external_upgrader: str
    external_upgrader_version: str
    address: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, server_id: _Optional[str] = ..., hostname: _Optional[str] = ..., services: _Optional[_Iterable[str]] = ..., version: _Optional[str] = ..., external_upgrader: _Optional[str] = ..., external_upgrader_version: _Optional[str] = ..., address: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PingInstanceRequest(_message.Message):
    __slots__ = ("server_id",)
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    server_id: str
    def __init__(self, server_id: _Optional[str] = ...) -> None: ...

class PingInstanceReply(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    def __init__(self, seconds: _Optional[float] = ...) -> None: ...
