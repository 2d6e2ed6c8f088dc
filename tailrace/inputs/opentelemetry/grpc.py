"""gRPC's unary calls over HTTP/2: messages in a request's body, and answers with a status in trailers.

Source: "gRPC over HTTP2" (PROTOCOL-HTTP2.md): each message has a byte that says whether it is packed and four of its length before it.
"""

from __future__ import annotations

from urllib.parse import quote

from tailrace.net.http_server import Request, Response
from tailrace.wire.compression import CompressionError, TooLarge, decompress

HEAD_BYTES = 5
MOST_MESSAGES = 1000
CONTENT_TYPE = "application/grpc"

OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED = 0, 3, 8, 12
INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 13, 14, 16


class GrpcError(Exception):
    """A call that is not taken: its status and text are the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def response(self) -> Response:
        return answer(self.status, self.text)


def is_grpc(request: Request) -> bool:
    media_type = request.media_type
    return media_type == CONTENT_TYPE or media_type.startswith(
        (f"{CONTENT_TYPE}+", f"{CONTENT_TYPE} ")
    )


def answer(status: int, text: str = "", message: bytes | None = None) -> Response:
    """The answer to a call; a message with a status of OK only."""
    trailers = [("grpc-status", str(status))]
    if text:
        trailers.append(("grpc-message", quote(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^_`{|}~")))
    headers = (("Content-Type", CONTENT_TYPE),)
    if message is None:
        return Response(200, b"", headers, trailers)
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    return Response(200, framed, headers, trailers)


def messages_of(request: Request, limit: int) -> list[bytes]:
    """The messages of a call, unpacked, together at most `limit` bytes; `GrpcError` if they can't be had."""
    body, at = request.body, 0
    made: list[bytes] = []
    while at < len(body):
        size = int.from_bytes(body[at + 1 : at + HEAD_BYTES], "big")
        end = at + HEAD_BYTES + size
        if len(body) < at + HEAD_BYTES or len(body) < end:
            raise GrpcError(INVALID_ARGUMENT, "invalid gRPC packet")
        if len(made) == MOST_MESSAGES:
            raise GrpcError(RESOURCE_EXHAUSTED, f"more than {MOST_MESSAGES} messages")
        message = body[at + HEAD_BYTES : end]
        made.append(unpacked(request, message, limit) if body[at] == 1 else message)
        limit -= len(made[-1])
        at = end
    if not made:
        raise GrpcError(INVALID_ARGUMENT, "invalid gRPC packet")
    return made


def unpacked(request: Request, message: bytes, limit: int) -> bytes:
    encoding = request.headers.get("grpc-encoding", "").strip().lower()
    if not encoding:
        raise GrpcError(INVALID_ARGUMENT, "missing gRPC encoding")
    if encoding not in ("gzip", "zstd", "snappy", "deflate", "zlib", "identity"):
        raise GrpcError(UNIMPLEMENTED, "unsupported gRPC encoding")
    if encoding == "identity":
        return message
    try:
        return decompress("deflate" if encoding == "zlib" else encoding, message, max(limit, 0))
    except TooLarge as error:
        raise GrpcError(RESOURCE_EXHAUSTED, str(error)) from error
    except CompressionError as error:
        raise GrpcError(INTERNAL, "decompression error") from error
