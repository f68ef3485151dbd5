#!/usr/bin/env python3
"""Writes what zlib makes of a client's commands: python3 make.py >zlib.txt

A line is a stream's name, or a flush: its octets and the text that can be decoded
once they have come, both in hexadecimal. "*" and a number before a text repeats it.
"""
import zlib

TEXTS = [
    (1, "a1 NOOP\r\n"),
    (1, "a2 UID FETCH 1:* (FLAGS)\r\n"),
    (1, "x"),
    (1, "\r\na3 UID FETCH 1:* (FLAGS UID MODSEQ) (CHANGEDSINCE 1234567)\r\n"),
    (3000, "a4 APPEND Entw\u00fcrfe \x00\xff "),
    (1, "\r\n"),
    (1, "".join(chr(1 + (i * i * 7 + i // 3) % 250) for i in range(600)) + "\r\n"),
    (1, "a5 LOGOUT\r\n"),
]
FLUSHES = {"partial": zlib.Z_PARTIAL_FLUSH, "sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH}
STRATEGIES = {"default": zlib.Z_DEFAULT_STRATEGY, "huffman": zlib.Z_HUFFMAN_ONLY, "fixed": zlib.Z_FIXED, "rle": zlib.Z_RLE}

for flush, how in FLUSHES.items():
    for level, strategy, bits in [(0, "default", 15), (1, "default", 15), (6, "default", 15), (9, "default", 9), (6, "huffman", 15), (6, "fixed", 15), (6, "rle", 15)]:
        print(f"{flush}-{level}-{strategy}-{bits}")
        z = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, STRATEGIES[strategy])
        for times, text in TEXTS:
            if level == 0 or strategy in ("huffman", "rle"):
                times = min(times, 30)
            raw = text.encode()
            out = z.compress(raw * times) + z.flush(how)
            print(out.hex(), f"*{times}", raw.hex())
