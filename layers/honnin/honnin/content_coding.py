"""Decompresses a body, in pieces that stay small, however large the decompressed body is."""

import re
import zlib
from collections.abc import Iterator, Sequence

from honnin.errors import FileNotFetchedError
from honnin.wording import Wording

# RFC 9110 §8.4.1, and two more in use. Other names in `Content-Encoding` (UTF-8, aws-chunked) mean no compression.
COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})

_GZIP = b"\x1f\x8b"
# No deflated body begins with these: this number of text characters, with or without a byte order mark before them.
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[\t\r\n -~]{16}")
_BEGIN_BYTES = 32
_PIECE_BYTES = 64 * 1024

# A file that is stored compressed on its server is often compressed again for the transfer.
_MOST_LAYERS = 2


class Decoder:
    """Decompresses a body from gzip or deflate as it arrives. Its first bytes and its headers show if it is compressed.

    A file may be stored compressed on its server. Some servers name an encoding that the body does not have.
    """

    def __init__(self, codings: Sequence[str], layers: int = _MOST_LAYERS) -> None:
        self._codings = codings
        self._layers = layers
        self._begin = b""
        self._is_chosen = False
        self._stream: zlib._Decompress | None = None
        # The decoder of the body after the first decompression: it may be compressed twice.
        self._inner: Decoder | None = None

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """The decompressed next piece, in pieces that stay small. Raises `FileNotFetchedError`."""
        if not self._is_chosen:
            self._begin += piece
            if len(self._begin) < _BEGIN_BYTES:
                return
            piece = self._chosen()
        yield from self._decoded(piece)

    def end(self) -> Iterator[bytes]:
        """The rest at the end of the body. Raises `FileNotFetchedError` when the body ended too early."""
        if not self._is_chosen:
            yield from self._decoded(self._chosen())
        if self._stream is None:
            return
        yield from self._passed_on(self._stream.flush())
        if not self._stream.eof:
            raise FileNotFetchedError(
                Wording("the compressed file is incomplete", "圧縮されたファイルが途中で切れている")
            )
        if self._inner:
            yield from self._inner.end()

    def _chosen(self) -> bytes:
        """Choose a decoder by the first bytes of the body, and return these bytes."""
        begin, self._begin, self._is_chosen = self._begin, b"", True
        if self._layers and begin.startswith(_GZIP):
            self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif {"br", "zstd"} & set(self._codings):
            coding = self._codings[-1]
            raise FileNotFetchedError(
                Wording(
                    f"the file was compressed with {coding}, which was not requested",
                    f"要求していない圧縮形式（{coding}）で届いた",
                )
            )
        elif "deflate" in self._codings and begin and not _TEXT.match(begin):
            # RFC 9110 §8.4.1.2: in the zlib format. Some servers leave its header out.
            has_header = begin[0] & 15 == 8 and int.from_bytes(begin[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        if self._stream and self._layers:
            self._inner = Decoder((), self._layers - 1)
        return begin

    def _decoded(self, piece: bytes) -> Iterator[bytes]:
        if self._stream is None:
            if piece:
                yield piece
            return
        for plain in self._inflated(piece):
            yield from self._passed_on(plain)

    def _passed_on(self, plain: bytes) -> Iterator[bytes]:
        if self._inner:
            yield from self._inner.decode(plain)
        elif plain:
            yield plain

    def _inflated(self, piece: bytes) -> Iterator[bytes]:
        stream = self._stream
        while piece and stream is not None:
            if stream.eof:
                # A gzip file may have several members. Other bytes after it are padding.
                if not piece.startswith(_GZIP):
                    return
                stream = self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                if plain := stream.decompress(piece, _PIECE_BYTES):
                    yield plain
            except zlib.error:
                raise FileNotFetchedError(
                    Wording("the compressed file cannot be read", "圧縮されたファイルを展開できない")
                ) from None
            piece = stream.unused_data if stream.eof else stream.unconsumed_tail
