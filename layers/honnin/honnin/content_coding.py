"""Taking a body out of the compression that it came in, in pieces that stay small, whatever it unpacks to."""

import re
import zlib
from collections.abc import Iterator, Sequence

from honnin.errors import FileNotFetchedError
from honnin.wording import Wording

# RFC 9110 §8.4.1, and two more in use. Other names in `Content-Encoding` (UTF-8, aws-chunked) are no compressions.
COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})

_GZIP = b"\x1f\x8b"
# What no deflated body begins with: so many characters of a text, a byte order mark before them or not.
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[\t\r\n -~]{16}")
_BEGIN_BYTES = 32
_PIECE_BYTES = 64 * 1024

# A file that lies compressed at its server is often compressed once more on its way.
_MOST_LAYERS = 2


class Decoder:
    """Takes a body out of gzip or deflate as it arrives, if it is in one of them: by its first bytes, and its headers.

    A file may lie compressed at its server, and some name an encoding that the body has not.
    """

    def __init__(self, codings: Sequence[str], layers: int = _MOST_LAYERS) -> None:
        self._codings = codings
        self._layers = layers
        self._begin = b""
        self._is_chosen = False
        self._stream: zlib._Decompress | None = None
        # What the body is when it has been taken out of one compression: perhaps in another one.
        self._inner: Decoder | None = None

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """What has become of the next piece, in pieces that stay small. Raises `FileNotFetchedError`."""
        if not self._is_chosen:
            self._begin += piece
            if len(self._begin) < _BEGIN_BYTES:
                return
            piece = self._chosen()
        yield from self._decoded(piece)

    def end(self) -> Iterator[bytes]:
        """What is left at the end of the body. Raises `FileNotFetchedError` when it ended too early."""
        if not self._is_chosen:
            yield from self._decoded(self._chosen())
        if self._stream is None:
            return
        yield from self._passed_on(self._stream.flush())
        if not self._stream.eof:
            raise FileNotFetchedError(Wording("the compressed file broke off", "圧縮されたファイルが途中で切れている"))
        if self._inner:
            yield from self._inner.end()

    def _chosen(self) -> bytes:
        """Choose by the first bytes of the body, which are given back."""
        begin, self._begin, self._is_chosen = self._begin, b"", True
        if self._layers and begin.startswith(_GZIP):
            self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif {"br", "zstd"} & set(self._codings):
            coding = self._codings[-1]
            raise FileNotFetchedError(
                Wording(
                    f"the file came compressed with {coding}, which was not asked for",
                    f"要求していない圧縮形式（{coding}）で届いた",
                )
            )
        elif "deflate" in self._codings and begin and not _TEXT.match(begin):
            # RFC 9110 §8.4.1.2: in the zlib format, whose header some servers leave out.
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
                # A gzip file may have several members; what else stands behind it is padding.
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
