"""What WAV, Ogg and MP3 files say about their own length, checked before anything is decoded.

The decoder takes a cut file for a shorter one, and reads an MP3 without a right frame count only in part. Here a cut
file is an error, and an MP3 gets a header that counts its frames.
"""

import errno
import os
import re
import struct
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from models.errors import UnreadableMedia

_STREAMED_WAV_BYTES = 0x7FFF_0000  # writers to a pipe put a size from here up, or 0: they do not know it
_OGG_HEADER = 27  # bytes; the last is the number of segment lengths that follow
_MIRRORED_BYTES = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MPEG1_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_XING = 16  # bytes, as far as they are read here: its name, flags, frames and bytes
_ID3V1 = 128  # bytes
_AFTER_MP3 = re.compile(rb"TAG|APETAGEX|LYRICSBEGIN|ID3|\0*\Z")


class FileBytes:
    """The bytes of an open file, read where they are asked for; a memory map would end the process where somebody else
    cuts the file meanwhile."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        self._file.seek(start)
        found = self._file.read(max(0, stop - start))
        if len(found) < stop - start:
            raise OSError(errno.EIO, "one that was cut while it was read")
        return found


def whole(data: bytes, kind: str, name: str) -> bytes:
    """The bytes to decode: those of the file, or its MPEG frames behind a right count of them.

    Raises:
        UnreadableMedia: the file ends before its own headers say so.
    """
    if kind == "audio/wav":
        check_wav(data, name)
    elif kind == "audio/ogg":
        check_ogg(data, name)
    elif kind == "audio/mpeg":
        found = mp3_frames(data, name)
        return found.head + data[found.offsets[0] : found.offsets[-1]]
    return data


def check_wav(data: bytes | FileBytes, name: str) -> None:
    """Follows the chunks up to the samples (RIFF, and RF64 with its 64-bit size; RIFX is big-endian).

    Raises:
        UnreadableMedia: the file ends before they do.
    """
    order = ">" if data[:4] == b"RIFX" else "<"
    position, long_size = 12, None
    while position + 8 <= len(data):
        chunk, size = struct.unpack(f"{order}4sI", data[position : position + 8])
        if chunk == b"ds64" and position + 24 <= len(data):
            (long_size,) = struct.unpack("<Q", data[position + 16 : position + 24])
        if chunk == b"data":
            declared, got = size if size < _STREAMED_WAV_BYTES else long_size, len(data) - position - 8
            if declared is not None and got < declared:
                raise UnreadableMedia(f"{name}: expected {declared} bytes of samples, got {got}: the file is cut")
            return
        position += 8 + size + size % 2
    raise UnreadableMedia(f"{name}: expected a WAV data chunk, got the end of the file at byte {len(data)}")


def check_ogg(data: bytes | FileBytes, name: str) -> None:
    """Lets a file pass whose pages are whole and right; the last need not end the stream (RFC 3533, 6; RFC 7845, 3).

    Raises:
        UnreadableMedia: one is not.
    """
    position = 0
    while position < len(data):
        if data[position : position + 4] != b"OggS"[: len(data) - position]:
            got = data[position : position + 4]
            raise UnreadableMedia(f"{name}: expected an Ogg page at byte {position}, got {got!r}")
        end = len(data) + 1
        if position + _OGG_HEADER <= len(data):
            (segments,) = data[position + _OGG_HEADER - 1 : position + _OGG_HEADER]
            table = data[position + _OGG_HEADER : position + _OGG_HEADER + segments]
            end = position + _OGG_HEADER + len(table) + sum(table)
        if end > len(data):
            raise UnreadableMedia(f"{name}: expected whole Ogg pages, got one cut at byte {len(data)}")
        if not _ogg_checksum_holds(data[position:end]):
            raise UnreadableMedia(
                f"{name}: expected a whole Ogg page at byte {position}, got one with a wrong checksum"
            )
        position = end


def _ogg_checksum_holds(page: bytes) -> bool:
    """CRC-32 with Ogg's bit order and start value: zlib's on mirrored bytes, its two inversions undone."""
    cleared = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(cleared.translate(_MIRRORED_BYTES), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2) == int.from_bytes(page[22:26], "little")


@dataclass(frozen=True)
class _Frame:
    """The header of one MPEG layer III frame: its length in bytes, and how far its side information reaches."""

    bytes: int
    side_end: int
    stream: tuple[int, int]  # MPEG version and sample rate, the same in all frames of a file


@dataclass(frozen=True)
class Mp3Frames:
    """Where in a file each of its frames begins and the last one ends, behind a first frame that counts them."""

    head: bytes
    first: _Frame
    offsets: Sequence[int]


def mpeg_frame(data: bytes | FileBytes, position: int = 0) -> _Frame | None:
    """The layer III frame header at ``position``, or None. Source: ISO/IEC 11172-3, 2.4.1.3."""
    header = int.from_bytes(data[position : position + 4], "big") if position + 4 <= len(data) else 0
    version, layer, kbps_index, hz_index = header >> 19 & 3, header >> 17 & 3, header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer != 1 or kbps_index in (0, 15) or hz_index == 3:
        return None
    hz, mono = _MPEG_HZ[version][hz_index], header >> 6 & 3 == 3
    kbps = (_MPEG1_KBPS if version == 3 else _MPEG2_KBPS)[kbps_index - 1]
    length = (144 if version == 3 else 72) * 1000 * kbps // hz + (header >> 9 & 1)
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(length, 4 + side, (version, hz))


def mp3_frames(data: bytes | FileBytes, name: str) -> Mp3Frames:
    """The frames without tags around them, and a Xing header that counts them.

    A header that promises more frames than there are means a cut file; one that promises fewer, or none at all, is
    replaced: the decoder would stop at that count, or guess it from the first frame's bit rate.

    Raises:
        UnreadableMedia: the file ends before its own headers say so.
    """
    start = _id3_bytes(data)
    first = mpeg_frame(data, start)
    if first is None:
        raise UnreadableMedia(f"{name}: expected an MP3 frame at byte {start}, got {data[start : start + 4]!r}")
    offsets = _follow_frames(data, start, first, name)
    side_end = start + first.side_end
    has_room = first.side_end + _XING <= first.bytes
    if not has_room or data[side_end : side_end + 4] not in (b"Xing", b"Info"):
        return Mp3Frames(_xing(data[start : start + 4], len(offsets) - 1), first, offsets)
    flags, declared = struct.unpack(">II", data[side_end + 4 : side_end + 12])
    del offsets[0]
    frames = len(offsets) - 1
    if flags & 1 and declared > frames:
        raise UnreadableMedia(f"{name}: expected {declared} MP3 frames, got {frames}: the file is cut")
    counted = flags & 1 and declared == frames
    head = data[start : offsets[0]] if counted else _xing(data[start : start + 4], frames)
    return Mp3Frames(head, first, offsets)


def _id3_bytes(data: bytes | FileBytes, position: int = 0) -> int:
    """The length of an ID3v2 tag there, if it is one: 4 x 7 bits, and a footer where a flag says so."""
    head = data[position : position + 10]
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(head[6:])) + (10 if head[5] & 16 else 0)


def _follow_frames(data: bytes | FileBytes, start: int, first: _Frame, name: str) -> "array[int]":
    """Where each whole frame from ``start`` begins, and the byte where the last one ends."""
    offsets, position = array("Q", [start]), start
    while (frame := mpeg_frame(data, position)) is not None and frame.stream == first.stream:
        position += frame.bytes
        if position > len(data):
            raise UnreadableMedia(f"{name}: expected whole MP3 frames, got one cut at byte {len(data)}")
        offsets.append(position)
    if not _AFTER_MP3.match(data[position:]):
        raise UnreadableMedia(
            f"{name}: expected an MP3 frame at byte {position}, got {data[position : position + 4]!r}"
        )
    while tag := _ID3V1 if data[position : position + 3] == b"TAG" else _id3_bytes(data, position):
        position += tag
    if mpeg_frame(data, position) is not None:
        raise UnreadableMedia(f"{name}: expected one MP3, got another one behind its tags, from byte {position} on")
    return offsets


def _xing(header: bytes, frames: int) -> bytes:
    """A silent frame that says how many follow. Its bit rate is made 128 (64) kbit/s, so that the count has room."""
    widened = bytes((header[0], header[1] | 1, 9 << 4 | header[2] & 0x0C, header[3]))  # no CRC, no padding
    frame = mpeg_frame(widened)
    assert frame is not None
    return (widened.ljust(frame.side_end, b"\0") + b"Xing" + struct.pack(">II", 1, frames)).ljust(frame.bytes, b"\0")
