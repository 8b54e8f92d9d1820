"""Pictures for the documents: PNGs with a palette, a third as large as those of the browser, and no less readable.

Without an imaging library: the browser counts the colours, and the standard library writes the file.
"""

import base64
import struct
import zlib

from tests.e2e.browser import Browser

# The commonest colours that differ, and for each pixel the nearest of them: a screenshot of text has few colours, with
# many steps between them.
_TO_PALETTE = """
const [png, most, done] = arguments;
const picture = new Image();
picture.onload = () => {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, picture.width, picture.height).data.buffer);
  const counts = new Map();
  for (const each of pixels) counts.set(each, (counts.get(each) || 0) + 1);
  const part = (colour, shift) => colour >>> shift & 255;
  const distance = (one, other) => [0, 8, 16].reduce((sum, at) => sum + (part(one, at) - part(other, at)) ** 2, 0);
  const palette = [];
  for (const [colour] of [...counts].sort((one, other) => other[1] - one[1]))
    if (palette.length < most && palette.every(each => distance(each, colour) > 99)) palette.push(colour);
  const nearest = new Map();
  for (const colour of counts.keys())
    nearest.set(colour, palette.reduce((best, each, at) =>
      distance(each, colour) < distance(palette[best], colour) ? at : best, 0));
  let indices = "";
  for (const each of pixels) indices += String.fromCharCode(nearest.get(each));
  const colours = palette.flatMap(each => [0, 8, 16].map(shift => part(each, shift)));
  done([picture.width, picture.height, colours, btoa(indices)]);
};
picture.onerror = () => done(null);
picture.src = "data:image/png;base64," + png;
"""
_COLOURS = 64


def small(chromium: Browser, png: str) -> bytes:
    """The picture (PNG, base64) with a palette. The browser goes to an empty page."""
    chromium.open("about:blank")
    width, height, colours, indices = chromium.driver.execute_async_script(_TO_PALETTE, png, _COLOURS)
    pixels = base64.b64decode(indices)
    # Each row has its filter before it: none, which is best for a palette.
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", bytes(colours)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
