import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from teleport.api.pb import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WebSession(_message.Message):
    __slots__ = ("token", "client_address")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    token: str
    client_address: str
    def __init__(self, token: _Optional[str] = ..., client_address: _Optional[str] = ...) -> None: ...

class WebSignInRequest(_message.Message):
    __slots__ = ("user", "password", "code", "client_address", "former")
    USER_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FORMER_FIELD_NUMBER: _ClassVar[int]
    user: str
    password: str
    code: str
    client_address: str
    former: str
    def __init__(self, user: _Optional[str] = ..., password: _Optional[str] = ..., code: _Optional[str] = ..., client_address: _Optional[str] = ..., former: _Optional[str] = ...) -> None: ...

class WebSignInReply(_message.Message):
    __slots__ = ("token", "session")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    token: str
    session: WebSessionDescription
    def __init__(self, token: _Optional[str] = ..., session: _Optional[_Union[WebSessionDescription, _Mapping]] = ...) -> None: ...

class WebSessionDescription(_message.Message):
    __slots__ = ("user", "roles", "expires")
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    user: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    expires: _timestamp_pb2.Timestamp
    def __init__(self, user: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WebListRequest(_message.Message):
    __slots__ = ("session", "selection")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    session: WebSession
    selection: _resources_pb2.ListRequest
    def __init__(self, session: _Optional[_Union[WebSession, _Mapping]] = ..., selection: _Optional[_Union[_resources_pb2.ListRequest, _Mapping]] = ...) -> None: ...
