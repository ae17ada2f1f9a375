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
