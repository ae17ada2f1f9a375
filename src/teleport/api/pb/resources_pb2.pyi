from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Document(_message.Message):
    __slots__ = ("kind", "sub_kind", "name", "revision", "json")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUB_KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    kind: str
    sub_kind: str
    name: str
    revision: str
    json: bytes
    def __init__(self, kind: _Optional[str] = ..., sub_kind: _Optional[str] = ..., name: _Optional[str] = ..., revision: _Optional[str] = ..., json: _Optional[bytes] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("kind", "sub_kind", "name", "with_secrets")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUB_KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WITH_SECRETS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    sub_kind: str
    name: str
    with_secrets: bool
    def __init__(self, kind: _Optional[str] = ..., sub_kind: _Optional[str] = ..., name: _Optional[str] = ..., with_secrets: _Optional[bool] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("kind", "sub_kind", "after", "limit", "labels", "search", "query", "with_secrets")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUB_KIND_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    WITH_SECRETS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    sub_kind: str
    after: str
    limit: int
    labels: _containers.ScalarMap[str, str]
    search: _containers.RepeatedScalarFieldContainer[str]
    query: str
    with_secrets: bool
    def __init__(self, kind: _Optional[str] = ..., sub_kind: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., search: _Optional[_Iterable[str]] = ..., query: _Optional[str] = ..., with_secrets: _Optional[bool] = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("documents", "next")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    next: str
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class WriteRequest(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: Document
    def __init__(self, document: _Optional[_Union[Document, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("kind", "sub_kind", "name", "revision")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUB_KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    kind: str
    sub_kind: str
    name: str
    revision: str
    def __init__(self, kind: _Optional[str] = ..., sub_kind: _Optional[str] = ..., name: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("kinds", "with_secrets")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    WITH_SECRETS_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    with_secrets: bool
    def __init__(self, kinds: _Optional[_Iterable[str]] = ..., with_secrets: _Optional[bool] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("type", "document")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Change.Type]
        TYPE_INIT: _ClassVar[Change.Type]
        TYPE_PUT: _ClassVar[Change.Type]
        TYPE_DELETE: _ClassVar[Change.Type]
    TYPE_UNSPECIFIED: Change.Type
    TYPE_INIT: Change.Type
    TYPE_PUT: Change.Type
    TYPE_DELETE: Change.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    type: Change.Type
    document: Document
    def __init__(self, type: _Optional[_Union[Change.Type, str]] = ..., document: _Optional[_Union[Document, _Mapping]] = ...) -> None: ...
