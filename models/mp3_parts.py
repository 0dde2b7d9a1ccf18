"""A part of an MP3 as a small MP3 of its own, which decodes to the very samples that the whole one has there.

A frame of layer III may keep its data in the bytes of frames before it, up to 511 of them, and is mixed with what its
decoder heard before (ISO/IEC 11172-3, 2.4.2.7 and 2.4.3.4). So a part begins with silent frames that keep those bytes,
and a few whole ones to be heard; a decoder that is sent to the middle of a file would miss them, and says so on stderr.
"""

import struct

from models.audio_containers import FileBytes, Mp3Frames

_MPEG1 = 3
_HEARD = 4  # frames that a decoder hears before it decodes as if it had heard all
_TURN = 8  # frames after which its filter stands as it did before, to the last bit of its sums
_TRIMMED = 4095  # samples at most that a header lets a decoder leave out at the end
_HEADER, _CRC = 4, 2  # bytes


def part(data: bytes | FileBytes, found: Mp3Frames, first: int, end: int) -> tuple[bytes, int]:
    """An MP3 with the samples from ``first`` up to ``end`` of one whose frames are known, and which of all samples is
    the first of its own."""
    samples = 1152 if found.first.stream[0] == _MPEG1 else 576  # of a frame
    last = min(len(found.offsets) - 1, (end + _TRIMMED) // samples + 2)
    heard = max(0, first // samples - _HEARD)
    begin = _begin(found, heard)
    silent = _silenced(data, found, begin, heard) if begin else data[found.offsets[0] : found.offsets[heard]]
    body = silent + data[found.offsets[heard] : found.offsets[last]]
    return _counting(found, last - begin, len(body)) + body, begin * samples


def _begin(found: Mp3Frames, heard: int) -> int:
    """The frame from which on there are all the bytes that a frame may need."""
    most, begin = _most_behind(found), heard
    while begin and found.offsets[heard] - found.offsets[begin] - (heard - begin) * _side_end(found) < most:
        begin -= 1
    return begin - begin % _TURN


def _most_behind(found: Mp3Frames) -> int:
    return 511 if found.first.stream[0] == _MPEG1 else 255


def _side_end(found: Mp3Frames) -> int:
    """The most bytes of a frame that are no data."""
    return found.first.side_end + _CRC


def _silenced(data: bytes | FileBytes, found: Mp3Frames, begin: int, end: int) -> bytes:
    """Frames that say nothing but keep their data, as far as those behind them reach for it."""
    frames, behind, most = bytearray(), 0, _most_behind(found)
    for number in range(begin, end):
        frame = data[found.offsets[number] : found.offsets[number + 1]]
        side = _HEADER + (0 if frame[1] & 1 else _CRC)
        told = min(behind, most)
        told_bytes = struct.pack(">H", told << 7) if most == 511 else bytes([told])  # 9 or 8 bits
        data_at = found.first.side_end + side - _HEADER
        frames += frame[:side] + told_bytes.ljust(data_at - side, b"\0") + frame[data_at:]
        behind += len(frame) - data_at
    return bytes(frames)


def _counting(found: Mp3Frames, frames: int, size: int) -> bytes:
    """The header of the whole, which says how many samples are left out at its ends, with the count of a part."""
    head, at = bytearray(found.head), found.first.side_end + len("Xing")
    (flags,) = struct.unpack_from(">I", head, at)
    struct.pack_into(">I", head, at + 4, frames)
    if flags & 2:
        struct.pack_into(">I", head, at + 8, len(head) + size)
    return bytes(head)
