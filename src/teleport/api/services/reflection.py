"""Reflection: the published .proto files, over the API itself, for callers with a certificate.

Standard gRPC server reflection (grpc.reflection.v1 and v1alpha, whose messages are alike), so that tools like
grpcurl need no files. It shows what `proto/` in the source shows, and nothing else that this program has loaded.

Its own messages are loaded with the first question: few servers are ever asked one.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, cast

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpclib.const import Status

from teleport.api.caller import EVERYONE, Caller
from teleport.api.rpc import LARGEST_MESSAGE, Call, Method

_POOL = descriptor_pool.Default()


def methods(served: Iterable[Method]) -> tuple[Method, ...]:
    """Return the methods that describe `served`."""
    names = sorted({_service_of(method.call) for method in served})
    files = dict(_with_imports(_POOL.FindServiceByName(name).file for name in names))
    return tuple(_method(_Late(version), names, files) for version in ("v1", "v1alpha"))


class _Late:
    """The method of one version, as a `Call` whose messages are there when somebody looks."""

    streams = two_way = True
    largest = LARGEST_MESSAGE

    def __init__(self, version: str) -> None:
        self.path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        self._module = f"grpclib.reflection.{version}.reflection_pb2"

    @property
    def messages(self) -> Any:
        return importlib.import_module(self._module)

    @property
    def request(self) -> Any:
        return self.messages.ServerReflectionRequest

    @property
    def reply(self) -> Any:
        return self.messages.ServerReflectionResponse


def _service_of(call: Call[Any, Any]) -> str:
    return call.path.split("/")[1]


def _with_imports(files: Iterable[FileDescriptor]) -> Iterator[tuple[str, FileDescriptor]]:
    for file in files:
        yield file.name, file
        yield from _with_imports(file.dependencies)


def _method(call: _Late, names: list[str], files: Mapping[str, FileDescriptor]) -> Method:
    async def answer(caller: Caller, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            reply = _reply(call.messages, request, names, files)
            yield call.reply(valid_host=request.host, original_request=request, **reply)

    return Method(cast(Call[Any, Any], call), EVERYONE, answer)


def _reply(messages: Any, request: Any, names: list[str], files: Mapping[str, FileDescriptor]) -> dict[str, Any]:
    """Return the part of a reply that answers a request. There are no extensions in proto3 files."""
    asked = request.WhichOneof("message_request")
    if asked == "list_services":
        services = [messages.ServiceResponse(name=name) for name in names]
        return {"list_services_response": messages.ListServiceResponse(service=services)}
    file = None
    if asked == "file_by_filename":
        file = files.get(request.file_by_filename)
    elif asked == "file_containing_symbol":
        file = _file_of(request.file_containing_symbol, files)
    if file is None:
        status = Status.INVALID_ARGUMENT if asked is None else Status.NOT_FOUND
        return {"error_response": messages.ErrorResponse(error_code=status.value, error_message="not found")}
    data = [file.serialized_pb]
    return {"file_descriptor_response": messages.FileDescriptorResponse(file_descriptor_proto=data)}


def _file_of(symbol: str, files: Mapping[str, FileDescriptor]) -> FileDescriptor | None:
    """Return the file of a symbol, or of what it belongs to: the pool does not know methods and fields by name."""
    for name in (symbol, symbol.rpartition(".")[0]):
        try:
            return files.get(_POOL.FindFileContainingSymbol(name).name)
        except KeyError:
            continue
    return None
