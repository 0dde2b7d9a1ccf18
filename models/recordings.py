"""An item's medium by its uri: a file, or a stretch of a longer recording such as ``talk.wav#t=12.5,15.25``.

That is a media fragment in seconds (w3.org/TR/media-frags, 4.2.1); without an end it goes on to that of the recording.
A file whose name really ends so is the file. Whoever reads a stretch gets a sound file of its own: a WAV of the samples
that the recording has there, the same bytes whenever it is cut. Only those are decoded, where the file allows it.
"""

import hashlib
import io
import math
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.audio_containers import FileBytes, Mp3Frames, check_ogg, check_wav, mp3_frames
from models.errors import NotFound, TooLarge, UnreadableMedia
from models.media import HEAD_BYTES, SOUNDS, UNKNOWN_FRAMES, Limits, SoundStream, check_rate, expect_kind, mono_blocks
from models.mp3_parts import part
from models.records import Seconds
from models.versions import file_sha256

_TIME = r"([0-9]{1,10}(?:\.[0-9]{1,30})?)"
_FRAGMENT = re.compile(rf"(.+)#t={_TIME}(?:,{_TIME})?", re.DOTALL)
_16_BITS = ("PCM_S8", "PCM_U8", "PCM_16", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")
_KEPT_AS = {**dict.fromkeys(_16_BITS, "int16"), "PCM_24": "int32", "PCM_32": "int32"}  # others as 32-bit floats
_RUN_UP: Seconds = 4.0  # after a seek Opus needs so long until it decodes as if it had heard all
_Sound: TypeAlias = tuple[SoundStream, int]  # and which frame of the recording is its first


@dataclass(frozen=True)
class Recording:
    """How long a sound file is, of how many channels, at which rate in Hz."""

    frames: int
    channels: int
    rate: int

    @property
    def duration_s(self) -> Seconds:
        return self.frames / self.rate


@dataclass(frozen=True)
class Stretch:
    """A stretch of a recording, up to its end where ``end_s`` is None."""

    recording: Path
    start_s: Seconds
    end_s: Seconds | None = None

    @property
    def uri(self) -> str:
        """What names it."""
        end = "" if self.end_s is None else f",{_seconds(self.end_s)}"
        return f"{self.recording}#t={_seconds(self.start_s)}{end}"

    def frames(self, known: Recording) -> tuple[int, int]:
        """The first of its frames, and the one after its last; none are beyond the recording."""
        end = known.frames if self.end_s is None else min(known.frames, round(self.end_s * known.rate))
        return min(round(self.start_s * known.rate), end), end


def stretch(uri: str) -> Stretch | None:
    """The stretch that a uri names; None where it names a file."""
    found = _FRAGMENT.fullmatch(uri)
    if found is None or os.path.exists(uri):
        return None
    path, start, end = found.groups()
    return Stretch(Path(path), float(start), None if end is None else float(end))


def _seconds(time: Seconds) -> str:
    return f"{time:.9f}".rstrip("0").rstrip(".")


def medium(uri: str) -> bytes:
    """The bytes of a file, or those of a stretch as a sound file of its own.

    Raises:
        NotFound: it cannot be read.
        UnreadableMedia, TooLarge: a stretch that cannot be cut, or is outside of the recording.
    """
    found = stretch(uri)
    if found is not None:
        return cut(found)
    try:
        return Path(uri).read_bytes()
    except OSError as error:
        raise NotFound(f"{uri}: expected a readable file, got {error.strerror}") from error


def medium_sha256(uri: str) -> str:
    """The SHA-256 of ``medium``, in hexadecimal; a file is read in pieces.

    Raises:
        NotFound, UnreadableMedia, TooLarge: of a stretch, as ``medium``.
        OSError: of a file that cannot be read.
    """
    return hashlib.sha256(medium(uri)).hexdigest() if stretch(uri) else file_sha256(Path(uri))


def duration_s(uri: str) -> Seconds:
    """How long a sound is: by its own count of samples or, where it has none, by decoding it.

    Raises:
        NotFound: no such file.
        UnreadableMedia: not such a file, broken, cut or without samples.
    """
    found = stretch(uri)
    if found is None:
        return recording(Path(uri)).duration_s
    known = recording(found.recording)
    first, end = found.frames(known)
    return (end - first) / known.rate


def recording(path: Path) -> Recording:
    """What a sound file says of itself; looked at once as long as it stays as it is.

    Raises:
        NotFound: no such file.
        UnreadableMedia: not such a file, broken, cut or without samples.
    """
    return _recording(path, _state(path))


@lru_cache(maxsize=32)
def _recording(path: Path, state: tuple[int, ...]) -> Recording:
    with _opened(path, state) as (sound, _):
        counted = sound.frames < UNKNOWN_FRAMES
        endless = Limits(max_audio_s=math.inf)
        frames = sound.frames if counted else sum(map(len, mono_blocks(sound, str(path), endless)))
        if not frames:
            raise UnreadableMedia(f"{path}: expected at least one sample, got none")
        return Recording(frames, sound.channels, sound.samplerate)


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    try:
        about = os.stat(path)
    except OSError as error:
        raise _not_found(path, error) from error
    if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
        raise UnreadableMedia(f"{path}: expected a sound file, got a folder or a device")
    return about.st_ino, about.st_mtime_ns, about.st_size


def _not_found(path: Path, error: OSError) -> NotFound:
    got = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
    return NotFound(f"{path}: expected a sound file, got {got}")


@contextmanager
def _opened(
    path: Path,
    state: tuple[int, ...],
    check: Callable[[IO[bytes]], None] = lambda _: None,
    wanted: tuple[int, int] = (0, UNKNOWN_FRAMES),
) -> Iterator[_Sound]:
    """A sound file that is whole as far as it says itself; where a stretch is wanted, perhaps a part of it."""
    try:
        with path.open("rb") as file:
            check(file)
            kind = expect_kind(file.read(HEAD_BYTES), str(path), SOUNDS, "WAV, FLAC, Ogg or MP3 audio")
            source, begin = _source(file, kind, path, state, wanted)
            with SoundStream(source) as sound:
                yield sound, begin
    except OSError as error:
        raise _not_found(path, error) from error
    except soundfile.SoundFileError as error:
        raise UnreadableMedia(f"{path}: expected a whole sound file, got a broken one: {error}") from error


def _source(
    file: IO[bytes], kind: str, path: Path, state: tuple[int, ...], wanted: tuple[int, int]
) -> tuple[IO[bytes], int]:
    """What to decode, and which frame of the recording is its first: but for MP3, the file itself."""
    if kind == "audio/mpeg":
        data, frames = FileBytes(file), _mp3_frames(path, state)
        if len(data) < frames.offsets[-1]:
            raise UnreadableMedia(f"{path}: expected a whole sound file, got one that was cut while it was read")
        cut_out, begin = part(data, frames, *wanted)
        return io.BytesIO(cut_out), begin
    if kind == "audio/wav":
        check_wav(FileBytes(file), str(path))
    elif kind == "audio/ogg":
        _check_ogg(path, state)
    file.seek(0)
    return file, 0


@lru_cache(maxsize=32)
def _check_ogg(path: Path, state: tuple[int, ...]) -> None:
    """Looks at every page, once as long as the file stays as it is."""
    with path.open("rb") as file:
        check_ogg(FileBytes(file), str(path))


@lru_cache(maxsize=2)
def _mp3_frames(path: Path, state: tuple[int, ...]) -> Mp3Frames:
    """Where the frames of those that are MP3 begin."""
    with path.open("rb") as file:
        return mp3_frames(FileBytes(file), str(path))


def cut(
    wanted: Stretch,
    most_bytes: int = 1 << 30,  # the sizes in a WAV end at four times as much
    check: Callable[[IO[bytes]], None] = lambda _: None,
) -> bytes:
    """The stretch as a sound file of its own, of at most so many bytes of samples, out of a file that passes a check as
    soon as it is open.

    Raises:
        NotFound: the recording cannot be read.
        UnreadableMedia, TooLarge: the recording is broken, the stretch outside of it or too long.
    """
    known = recording(wanted.recording)
    first, end = wanted.frames(known)
    if first == end:
        raise UnreadableMedia(f"{wanted.uri}: expected a stretch within {known.duration_s:.3f} s of sound, got none")
    with _opened(wanted.recording, _state(wanted.recording), check, (first, end)) as (sound, begin):
        check_rate(sound.samplerate, wanted.uri)
        kind = _KEPT_AS.get(sound.subtype, "float32")
        if (end - first) * known.channels * np.dtype(kind).itemsize > most_bytes:
            raise TooLarge(f"{wanted.uri}: expected at most {most_bytes / (1 << 20):.6g} MiB of samples, got more")
        heard_from = {"MPEG_LAYER_III": begin, "OPUS": max(0, first - round(_RUN_UP * known.rate))}
        run_up = first - heard_from.get(sound.subtype, first)
        sound.skip(first - run_up - begin)
        samples = sound.read(run_up + end - first, dtype=kind, always_2d=True)[run_up:]  # (frames, channels)
    if len(samples) < end - first:
        expected = f"expected {end - first} samples from {first} on"
        raise UnreadableMedia(f"{wanted.uri}: {expected}, got {len(samples)}: the recording is cut or broken")
    return _wav(samples, known.rate)


def _wav(samples: NDArray[Any], rate: int) -> bytes:
    """Samples (frames, channels) as a WAV file with nothing but them."""
    frame = samples.shape[1] * samples.itemsize  # bytes
    data = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    code, bits = 3 if samples.dtype.kind == "f" else 1, 8 * samples.itemsize
    form = struct.pack("<HHIIHH", code, samples.shape[1], rate, rate * frame, frame, bits)
    head = struct.pack("<4sI8sI", b"RIFF", 20 + len(form) + len(data), b"WAVEfmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", len(data)) + data
