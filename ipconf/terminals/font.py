"""A 5x7 bitmap font for printable ASCII, drawn with numpy."""

import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GLYPH_WIDTH = 5
GLYPH_HEIGHT = 7
ADVANCE = GLYPH_WIDTH + 1
"""Columns from one letter to the next."""

# From space to tilde. A glyph is seven rows from the top, each five bits in two hex digits.
_GLYPHS = bytes.fromhex("""
00000000000000 04040404040004 0a0a0a00000000 0a0a1f0a1f0a0a 040f140e051e04 18190204081303
0c12140815120d 0c040800000000 02040808080402 08040202020408 0004150e150400 0004041f040400
000000000c0408 0000001f000000 00000000000c0c 00010204081000 0e11131519110e 040c040404040e
0e11010204081f 1f02040201110e 02060a121f0202 1f101e0101110e 0608101e11110e 1f010204080808
0e11110e11110e 0e11110f01020c 000c0c000c0c00 000c0c000c0408 02040810080402 00001f001f0000
08040201020408 0e110102040004 0e11171517100e 0e11111f111111 1e11111e11111e 0e11101010110e
1c12111111121c 1f10101e10101f 1f10101e101010 0e11101711110f 1111111f111111 0e04040404040e
0702020202120c 11121418141211 1010101010101f 111b1515111111 11111915131111 0e11111111110e
1e11111e101010 0e11111115120d 1e11111e141211 0f10100e01011e 1f040404040404 1111111111110e
11111111110a04 1111111515150a 11110a040a1111 11110a04040404 1f01020408101f 0e08080808080e
00100804020100 0e02020202020e 040a1100000000 0000000000001f 08040200000000 00000e010f110f
1010161911111e 00000e1010110e 01010d1311110f 00000e111f100e 0609081c080808 00000f110f010e
10101619111111 04000c0404040e 0200060202120c 10101214181412 0c04040404040e 00001a15151111
00001619111111 00000e1111110e 00001e111e1010 00000d130f0101 00001619101010 00000f100e011e
08081c08080906 0000111111130d 00001111110a04 0000111115150a 0000110a040a11 000011110f010e
00001f0204081f 02040408040402 04040404040404 08040402040408 00000815020000
""")


def to_ascii(text: str) -> str:
    """The text in letters that the font has: accents removed, "?" for all else."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in plain)


@lru_cache(maxsize=512)
def glyph(letter: str, scale: int) -> NDArray[np.bool_]:
    """One ASCII letter with its gap on the right, shape (7 * scale, 6 * scale)."""
    start = GLYPH_HEIGHT * (ord(letter) - ord(" "))
    rows = _GLYPHS[start : start + GLYPH_HEIGHT]
    dots = np.array([[row << 1 >> bit & 1 for bit in range(GLYPH_WIDTH, -1, -1)] for row in rows])
    return dots.astype(np.bool_).repeat(scale, axis=0).repeat(scale, axis=1)


def draw(text: str, scale: int) -> NDArray[np.bool_]:
    """The text as a mask, shape (7 * scale, 6 * scale * len(text)); letters as in `to_ascii`."""
    return np.hstack([glyph(letter, scale) for letter in to_ascii(text)])
