"""Taking a body out of the compression that it came in, in pieces that stay small, whatever it unpacks to."""

import zlib
from collections.abc import Iterator, Sequence

from honnin.errors import FileNotFetchedError
from honnin.wording import Wording

# RFC 9110 §8.4.1, and two more in use. Other names in `Content-Encoding` (UTF-8, aws-chunked) are no compressions.
COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd"})

_GZIP = b"\x1f\x8b"
_PIECE_BYTES = 64 * 1024


class Decoder:
    """Takes a body out of gzip or deflate as it arrives, if it is in one of them: by its first bytes, and its headers.

    A file may lie compressed at its server, and some name an encoding that the body has not.
    """

    def __init__(self, codings: Sequence[str]) -> None:
        self._codings = codings
        self._begin = b""
        self._stream: zlib._Decompress | None = None
        self._is_plain = False

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """What has become of the next piece, in pieces that stay small. Raises `FileNotFetchedError`."""
        if self._stream is None and not self._is_plain:
            self._begin += piece
            if len(self._begin) < len(_GZIP):
                return
            piece, self._begin = self._begin, b""
            self._choose(piece)
        if self._stream is None:
            yield piece
        else:
            yield from self._inflated(piece)

    def end(self) -> bytes:
        """What is left at the end of the body. Raises `FileNotFetchedError` when it ended too early."""
        if self._stream is None:
            return self._begin
        rest = self._stream.flush()
        if not self._stream.eof:
            raise FileNotFetchedError(Wording("the compressed file broke off", "圧縮されたファイルが途中で切れている"))
        return rest

    def _choose(self, begin: bytes) -> None:
        if begin.startswith(_GZIP):
            self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif {"br", "zstd"} & set(self._codings):
            coding = self._codings[-1]
            raise FileNotFetchedError(
                Wording(
                    f"the file came compressed with {coding}, which was not asked for",
                    f"要求していない圧縮形式（{coding}）で届いた",
                )
            )
        elif "deflate" in self._codings:
            # RFC 9110 §8.4.1.2: in the zlib format, whose header some servers leave out.
            has_header = begin[0] & 15 == 8 and int.from_bytes(begin[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        else:
            self._is_plain = True

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
