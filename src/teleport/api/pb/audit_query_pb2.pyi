from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AuditQueryRequest(_message.Message):
    __slots__ = ("query", "limit", "after")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    query: str
    limit: int
    after: str
    def __init__(self, query: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class AuditQueryReply(_message.Message):
    __slots__ = ("rows", "next", "columns", "counts")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedScalarFieldContainer[bytes]
    next: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    counts: bool
    def __init__(self, rows: _Optional[_Iterable[bytes]] = ..., next: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ..., counts: _Optional[bool] = ...) -> None: ...

class DeliverRequest(_message.Message):
    __slots__ = ("writer", "first", "events", "after_gap")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    AFTER_GAP_FIELD_NUMBER: _ClassVar[int]
    writer: str
    first: int
    events: _containers.RepeatedScalarFieldContainer[bytes]
    after_gap: bool
    def __init__(self, writer: _Optional[str] = ..., first: _Optional[int] = ..., events: _Optional[_Iterable[bytes]] = ..., after_gap: _Optional[bool] = ...) -> None: ...
