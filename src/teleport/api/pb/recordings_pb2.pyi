import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoreRequest(_message.Message):
    __slots__ = ("session_id", "index", "chunk")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    index: int
    chunk: bytes
    def __init__(self, session_id: _Optional[str] = ..., index: _Optional[int] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class StoreReply(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    def __init__(self, digest: _Optional[bytes] = ...) -> None: ...

class CompleteRequest(_message.Message):
    __slots__ = ("session_id", "chunks", "digest")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    chunks: int
    digest: bytes
    def __init__(self, session_id: _Optional[str] = ..., chunks: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class CompleteReply(_message.Message):
    __slots__ = ("size",)
    SIZE_FIELD_NUMBER: _ClassVar[int]
    size: int
    def __init__(self, size: _Optional[int] = ...) -> None: ...

class WholeRecording(_message.Message):
    __slots__ = ("session_id", "chunks", "digest")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    chunks: _containers.RepeatedScalarFieldContainer[bytes]
    digest: bytes
    def __init__(self, session_id: _Optional[str] = ..., chunks: _Optional[_Iterable[bytes]] = ..., digest: _Optional[bytes] = ...) -> None: ...

class StoreWholeRequest(_message.Message):
    __slots__ = ("recordings",)
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    recordings: _containers.RepeatedCompositeFieldContainer[WholeRecording]
    def __init__(self, recordings: _Optional[_Iterable[_Union[WholeRecording, _Mapping]]] = ...) -> None: ...

class StoreWholeReply(_message.Message):
    __slots__ = ("stored",)
    STORED_FIELD_NUMBER: _ClassVar[int]
    stored: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stored: _Optional[_Iterable[str]] = ...) -> None: ...

class Recording(_message.Message):
    __slots__ = ("session_id", "kind", "user", "participants", "login", "server_id", "hostname", "start", "stop", "size", "interactive", "command", "problem")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    kind: str
    user: str
    participants: _containers.RepeatedScalarFieldContainer[str]
    login: str
    server_id: str
    hostname: str
    start: _timestamp_pb2.Timestamp
    stop: _timestamp_pb2.Timestamp
    size: int
    interactive: bool
    command: str
    problem: str
    def __init__(self, session_id: _Optional[str] = ..., kind: _Optional[str] = ..., user: _Optional[str] = ..., participants: _Optional[_Iterable[str]] = ..., login: _Optional[str] = ..., server_id: _Optional[str] = ..., hostname: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stop: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., size: _Optional[int] = ..., interactive: _Optional[bool] = ..., command: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class ListRecordingsRequest(_message.Message):
    __slots__ = ("since", "until", "user", "limit", "after")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    user: str
    limit: int
    after: str
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class ListRecordingsReply(_message.Message):
    __slots__ = ("recordings", "next")
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    recordings: _containers.RepeatedCompositeFieldContainer[Recording]
    next: str
    def __init__(self, recordings: _Optional[_Iterable[_Union[Recording, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class FramesRequest(_message.Message):
    __slots__ = ("session_id", "purpose")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    purpose: str
    def __init__(self, session_id: _Optional[str] = ..., purpose: _Optional[str] = ..., **kwargs) -> None: ...

class FramesReply(_message.Message):
    __slots__ = ("recording", "frames")
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    recording: Recording
    frames: bytes
    def __init__(self, recording: _Optional[_Union[Recording, _Mapping]] = ..., frames: _Optional[bytes] = ...) -> None: ...

class SearchRecordingsRequest(_message.Message):
    __slots__ = ("text", "since", "until", "user", "limit", "after")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    text: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    user: str
    limit: int
    after: str
    def __init__(self, text: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class RecordingHit(_message.Message):
    __slots__ = ("recording", "at", "last", "line")
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    recording: Recording
    at: int
    last: int
    line: str
    def __init__(self, recording: _Optional[_Union[Recording, _Mapping]] = ..., at: _Optional[int] = ..., last: _Optional[int] = ..., line: _Optional[str] = ...) -> None: ...

class SearchRecordingsReply(_message.Message):
    __slots__ = ("hits", "next", "unindexed")
    HITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    UNINDEXED_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[RecordingHit]
    next: str
    unindexed: int
    def __init__(self, hits: _Optional[_Iterable[_Union[RecordingHit, _Mapping]]] = ..., next: _Optional[str] = ..., unindexed: _Optional[int] = ...) -> None: ...

class RecordingKeys(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[RecordingKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[RecordingKey, _Mapping]]] = ...) -> None: ...

class RecordingKey(_message.Message):
    __slots__ = ("id", "public_key", "created", "active")
    ID_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    id: str
    public_key: bytes
    created: _timestamp_pb2.Timestamp
    active: bool
    def __init__(self, id: _Optional[str] = ..., public_key: _Optional[bytes] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., active: _Optional[bool] = ...) -> None: ...
