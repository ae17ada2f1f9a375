import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IssueTargetRequest(_message.Message):
    __slots__ = ("node", "ssh_public_key")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    node: str
    ssh_public_key: str
    def __init__(self, node: _Optional[str] = ..., ssh_public_key: _Optional[str] = ...) -> None: ...

class IssueTargetReply(_message.Message):
    __slots__ = ("ssh_certificate", "expires")
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ssh_certificate: str
    expires: _timestamp_pb2.Timestamp
    def __init__(self, ssh_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class IssueLoginRequest(_message.Message):
    __slots__ = ("node", "login", "ssh_public_key", "proof", "client_address")
    NODE_FIELD_NUMBER: _ClassVar[int]
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    node: str
    login: str
    ssh_public_key: str
    proof: LoginProof
    client_address: str
    def __init__(self, node: _Optional[str] = ..., login: _Optional[str] = ..., ssh_public_key: _Optional[str] = ..., proof: _Optional[_Union[LoginProof, _Mapping]] = ..., client_address: _Optional[str] = ...) -> None: ...

class LoginProof(_message.Message):
    __slots__ = ("certificate", "session_id", "message", "signature")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    session_id: bytes
    message: bytes
    signature: bytes
    def __init__(self, certificate: _Optional[bytes] = ..., session_id: _Optional[bytes] = ..., message: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class IssueLoginReply(_message.Message):
    __slots__ = ("ssh_certificate", "expires")
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ssh_certificate: str
    expires: _timestamp_pb2.Timestamp
    def __init__(self, ssh_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class JoinOpenSSHRequest(_message.Message):
    __slots__ = ("token", "former_certificate", "former_signature", "hostname", "address", "labels", "principals", "ssh_public_key", "client_address")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FORMER_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    FORMER_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    token: str
    former_certificate: bytes
    former_signature: bytes
    hostname: str
    address: str
    labels: _containers.ScalarMap[str, str]
    principals: _containers.RepeatedScalarFieldContainer[str]
    ssh_public_key: str
    client_address: str
    def __init__(self, token: _Optional[str] = ..., former_certificate: _Optional[bytes] = ..., former_signature: _Optional[bytes] = ..., hostname: _Optional[str] = ..., address: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., principals: _Optional[_Iterable[str]] = ..., ssh_public_key: _Optional[str] = ..., client_address: _Optional[str] = ...) -> None: ...

class JoinOpenSSHReply(_message.Message):
    __slots__ = ("ssh_certificate", "expires", "user_authorities", "host_uuid", "cluster")
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    USER_AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    HOST_UUID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ssh_certificate: str
    expires: _timestamp_pb2.Timestamp
    user_authorities: _containers.RepeatedScalarFieldContainer[str]
    host_uuid: str
    cluster: str
    def __init__(self, ssh_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user_authorities: _Optional[_Iterable[str]] = ..., host_uuid: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class IssueServerRequest(_message.Message):
    __slots__ = ("ssh_public_key", "principals", "expires", "trusts")
    SSH_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    TRUSTS_FIELD_NUMBER: _ClassVar[int]
    ssh_public_key: str
    principals: _containers.RepeatedScalarFieldContainer[str]
    expires: _timestamp_pb2.Timestamp
    trusts: str
    def __init__(self, ssh_public_key: _Optional[str] = ..., principals: _Optional[_Iterable[str]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trusts: _Optional[str] = ...) -> None: ...

class IssueServerReply(_message.Message):
    __slots__ = ("ssh_certificate", "expires", "user_authorities")
    SSH_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    USER_AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    ssh_certificate: str
    expires: _timestamp_pb2.Timestamp
    user_authorities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ssh_certificate: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user_authorities: _Optional[_Iterable[str]] = ...) -> None: ...
