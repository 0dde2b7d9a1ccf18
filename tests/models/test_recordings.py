"""A stretch of a recording is a sound file of its own: the same samples, the same bytes, and nothing else decoded."""

import hashlib
import io
import os
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.audio_containers import FileBytes, mpeg_frame, whole
from models.errors import NotFound, TooLarge, UnreadableMedia
from models.media import read_audio
from models.recordings import Recording, Stretch, duration_s, medium, medium_sha256, recording, stretch
from models.versions import file_sha256

RATE = 16000
EXACT = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_32"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "ULAW"),
    ("WAV", "ALAW"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),  # which cannot be sought in
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_S8"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, round(RATE * seconds)).astype(np.float32)


def put(path: Path, samples: NDArray[np.float32], kind: str = "WAV", subtype: str = "PCM_16") -> Path:
    with soundfile.SoundFile(path, "w", RATE, 1 if samples.ndim == 1 else 2, subtype, format=kind) as file:
        for begin in range(0, len(samples), RATE):  # libsndfile falls over long blocks of Vorbis
            file.write(samples[begin : begin + RATE])
    return path


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("/a/talk.wav#t=12.5,15.25", Stretch(Path("/a/talk.wav"), 12.5, 15.25)),
        ("talk.wav#t=0.30000000000000004", Stretch(Path("talk.wav"), 0.3)),  # 0.1 + 0.2 of a program
        ("talk.wav#t=3", Stretch(Path("talk.wav"), 3.0)),
        ("a#t=1.wav#t=0,2", Stretch(Path("a#t=1.wav"), 0.0, 2.0)),
        ("a\nb.wav#t=0,2", Stretch(Path("a\nb.wav"), 0.0, 2.0)),
        ("talk.wav", None),
        ("talk.wav#t=", None),
        ("talk.wav#t=-1,2", None),
        ("talk.wav#t=1,2.wav", None),
        ("talk.wav#t=nan,2", None),
        ("talk.wav#t=1e3", None),
        ("talk.wav#t=٣", None),
        (f"talk.wav#t={'9' * 400}", None),
        ("clip.mp4#frame=7", None),
    ],
)
def test_a_media_fragment_names_a_stretch(uri: str, found: Stretch | None) -> None:
    named = stretch(uri)
    assert (named and named.uri) == (found and found.uri)
    if found is not None:
        assert stretch(found.uri) == found


@given(st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_a_name_keeps_the_times_to_the_nanosecond(start: float, end: float | None) -> None:
    found = stretch(Stretch(Path("x.wav"), start, end).uri)
    assert found is not None
    assert found.start_s == pytest.approx(start, abs=1e-9)
    assert found.end_s == (None if end is None else pytest.approx(end, abs=1e-9))


def test_a_file_of_such_a_name_is_read_as_itself(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", noise(3))
    file = put(tmp_path / "a.wav#t=1,2", noise(0.5))
    assert stretch(str(file)) is None
    assert medium(str(file)) == file.read_bytes()
    assert medium_sha256(str(file)) == file_sha256(file)
    assert duration_s(str(file)) == 0.5


@pytest.mark.parametrize(("kind", "subtype"), EXACT)
@pytest.mark.parametrize(("start", "end"), [(0, 1.5), (2.3, 2.30625), (4.0001, 4.3), (3.75, None)])
def test_a_stretch_has_the_samples_of_its_recording(
    kind: str, subtype: str, start: float, end: float | None, tmp_path: Path
) -> None:
    file = put(tmp_path / "talk", noise(5), kind, subtype)
    whole = read_audio(file.read_bytes(), "talk")
    part = whole[round(start * RATE) : None if end is None else round(end * RATE)]
    uri = Stretch(file, start, end).uri
    assert np.array_equal(read_audio(medium(uri), uri), part)
    assert duration_s(uri) == len(part) / RATE


def test_a_codec_has_heard_what_comes_before_a_stretch(tmp_path: Path) -> None:
    t = np.arange(5 * RATE) / RATE
    sweep = 0.3 * np.sin(2 * np.pi * (200 + 50 * np.sin(t)) * t) + noise(5) / 2
    file = put(tmp_path / "talk.opus", sweep.astype(np.float32), "OGG", "OPUS")
    whole = read_audio(file.read_bytes(), "talk")
    for begin in range(round(0.7137 * RATE), 4 * RATE, RATE // 10):
        uri = Stretch(file, begin / RATE, begin / RATE + 0.2).uri
        assert read_audio(medium(uri), uri) == pytest.approx(whole[begin : begin + round(0.2 * RATE)], abs=1e-3)


@pytest.mark.parametrize(
    ("rate", "channels", "mode", "level"),
    [
        (16000, 1, "VARIABLE", 0.5),
        (16000, 1, "CONSTANT", 0.95),  # 8 kbit/s: the data of a frame begin in the ninth before it
        (44100, 2, "AVERAGE", 0.5),
        (44100, 1, "CONSTANT", 0.95),
        (8000, 1, "VARIABLE", 0.95),
    ],
)
@pytest.mark.parametrize("tagged", [True, False])
def test_a_stretch_of_an_mp3_is_what_is_heard_there_from_its_beginning(
    rate: int, channels: int, mode: str, level: float, tagged: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """To the last bit, and without a word of its decoder on stderr."""
    file, t = tmp_path / "talk.mp3", np.arange(8 * rate) / rate
    bursts = np.random.default_rng(0).normal(0, 0.1, (len(t), channels)) * (np.sin(5 * t) > 0)[:, None]
    with soundfile.SoundFile(
        file, "w", rate, channels, "MPEG_LAYER_III", format="MP3", bitrate_mode=mode, compression_level=level
    ) as out:
        out.write((bursts + 0.2 * np.sin(2000 * t)[:, None]).astype(np.float32))
    if not tagged:  # as other encoders leave it, without a count of its frames
        file.write_bytes(file.read_bytes()[mpeg_frame(file.read_bytes()).bytes :])  # type: ignore[union-attr]
    whole_file = whole(file.read_bytes(), "audio/mpeg", "talk")
    everything = soundfile.SoundFile(io.BytesIO(whole_file)).read(always_2d=True, dtype="float32")
    ends = [(0, rate), (9, 2 * rate), (len(everything) - 5, len(everything))]
    for first, end in [*ends, *((begin, begin + rate // 4) for begin in range(rate, 7 * rate, rate // 3 + 7))]:
        cut_out, _ = soundfile.read(io.BytesIO(medium(Stretch(file, first / rate, end / rate).uri)), always_2d=True)
        assert np.array_equal(cut_out.astype(np.float32), everything[first:end])
    assert capfd.readouterr().err == ""


def test_a_stretch_is_the_same_file_for_ever(tmp_path: Path) -> None:
    """Versions remember what they were trained on by it."""
    ramp = (np.arange(4 * RATE) % 2000).astype(np.int16)
    for kind in ("wav", "flac"):
        soundfile.write(tmp_path / f"a.{kind}", ramp, RATE, subtype="PCM_16")
        uri = f"{tmp_path}/a.{kind}#t=1.5,2"
        assert medium_sha256(uri) == "9cb4db4491bb5eff062c882a93d6d7b889d5a0fb91d80d1c4fedb5918aeefc4e"
        with wave.open(io.BytesIO(medium(uri))) as read:
            assert read.getparams()[:4] == (1, 2, RATE, 8000)
            assert read.readframes(8000) == ramp[24000:32000].astype("<i2").tobytes()


def test_clips_that_were_joined_come_out_again_byte_by_byte(tmp_path: Path) -> None:
    clips = [put(tmp_path / f"{seed}.wav", noise(0.5 + seed / 3, seed)) for seed in range(3)]
    parts = [soundfile.read(clip, dtype="int16")[0] for clip in clips]
    soundfile.write(tmp_path / "all.flac", np.concatenate(parts), RATE, subtype="PCM_16")
    start = 0
    for clip, part in zip(clips, parts, strict=True):
        uri = Stretch(tmp_path / "all.flac", start / RATE, (start + len(part)) / RATE).uri
        assert medium(uri) == clip.read_bytes()
        start += len(part)


def test_channels_stay_apart_until_somebody_listens(tmp_path: Path) -> None:
    both = np.stack([noise(2, 0), noise(2, 1)], 1)
    uri = f"{put(tmp_path / 'a.wav', both)}#t=0.5,1"
    assert soundfile.info(io.BytesIO(medium(uri))).channels == 2
    assert read_audio(medium(uri), uri) == pytest.approx(both[8000:16000].mean(1), abs=1e-4)


def test_an_end_beyond_that_of_the_recording_is_that_of_the_recording(tmp_path: Path) -> None:
    file = put(tmp_path / "a.wav", noise(2))
    assert medium(f"{file}#t=1,9") == medium(f"{file}#t=1")
    assert duration_s(f"{file}#t=1,9") == 1


@pytest.mark.parametrize("times", ["2", "2,3", "1.5,1.5", "1.5,1", "1.00001,1.00002", "9999999999"])
def test_a_stretch_without_a_sample_is_refused(times: str, tmp_path: Path) -> None:
    uri = f"{put(tmp_path / 'a.wav', noise(2))}#t={times}"
    with pytest.raises(
        UnreadableMedia, match=r"a\.wav#t=[0-9.,]+: expected a stretch within 2\.000 s of sound, got none"
    ):
        medium(uri)


def test_a_recording_that_is_gone_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.wav: expected a sound file, got no such file"):
        medium(f"{tmp_path}/gone.wav#t=1,2")
    with pytest.raises(NotFound, match=r"gone\.wav: expected a readable file, got No such file"):
        medium(f"{tmp_path}/gone.wav")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(UnreadableMedia, match=r"a\.jpg: expected WAV, FLAC, Ogg or MP3 audio, got image/jpeg"):
        medium(f"{tmp_path}/a.jpg#t=1,2")


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_that_was_cut_short_is_an_error(kind: str, tmp_path: Path) -> None:
    file = put(tmp_path / "a", noise(4), kind, {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(kind, "PCM_16"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    with pytest.raises(UnreadableMedia, match=r"a(#t=3\.5)?: expected "):
        medium(f"{file}#t=3.5")


def test_a_recording_at_a_rate_that_no_sound_has_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, np.zeros((4000, 2)), 2**31 - 1)
    with pytest.raises(
        UnreadableMedia, match=r"a\.wav#t=0: expected a sample rate from 1000 to 768000 Hz, got 2147483647"
    ):
        medium(f"{file}#t=0")


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableMedia, match="pipe: expected a sound file, got a folder or a device"):
        medium(f"{tmp_path}/pipe#t=1")


def test_a_recording_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    file = put(tmp_path / "a.wav", noise(2))
    assert recording(file) == Recording(32000, 1, RATE)
    put(file, noise(3))
    assert duration_s(f"{file}#t=1") == 2


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_a_recording_that_is_cut_while_it_is_read_is_an_error(
    kind: str, subtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody copies another file over it."""
    file = put(tmp_path / "a", noise(8), kind, subtype)
    medium(f"{file}#t=6,7")
    about = os.stat(file)
    seen = (about.st_ino, about.st_mtime_ns, about.st_size)
    os.truncate(file, about.st_size // 2)
    monkeypatch.setattr("models.recordings._state", lambda _: seen)
    with pytest.raises(UnreadableMedia, match=r"a(#t=6,7)?: expected .*(cut|broken)"):
        medium(f"{file}#t=6,7")


def test_bytes_that_vanish_from_a_file_are_no_shorter_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(100)))
    with (tmp_path / "a").open("rb", buffering=0) as file:
        data = FileBytes(file)
        os.truncate(tmp_path / "a", 50)
        assert (data[10:20], data[98:0], data[100:110], len(data)) == (bytes(range(10, 20)), b"", b"", 100)
        with pytest.raises(OSError, match="one that was cut while it was read"):
            data[40:60]


def test_flac_that_does_not_know_its_length_gives_stretches(tmp_path: Path) -> None:
    known = put(tmp_path / "known.flac", noise(3), "FLAC")
    data = known.read_bytes()
    (tmp_path / "a.flac").write_bytes(data[:21] + bytes([data[21] & 0xF0, 0, 0, 0, 0]) + data[26:])
    for times in ("0.5,1.5", "2"):
        assert medium(f"{tmp_path}/a.flac#t={times}") == medium(f"{known}#t={times}")


def test_what_is_far_from_a_stretch_is_not_decoded(tmp_path: Path) -> None:
    """A minute of it is broken, which a decoder that came by would tell."""
    file = put(tmp_path / "a.flac", noise(180), "FLAC")
    before = medium(f"{file}#t=170,172")
    data = bytearray(file.read_bytes())
    data[len(data) // 9 : len(data) // 3] = bytes(len(data) // 3 - len(data) // 9)
    file.write_bytes(data)
    assert medium(f"{file}#t=170,172") == before


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_stretch_of_an_hour_needs_the_memory_of_a_stretch(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "hour"
    soundfile.write(file, np.zeros(3600 * RATE, np.int16), RATE, format=kind, subtype="PCM_16")
    tracemalloc.start()
    try:
        medium(f"{file}#t=3000,3010")
        assert tracemalloc.get_traced_memory()[1] < 3e6  # 10 s are 320 kB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_a_recording_is_not_kept_in_memory(kind: str, subtype: str, tmp_path: Path) -> None:
    file = put(tmp_path / "a", noise(60), kind, subtype)
    tracemalloc.start()
    try:
        assert len(medium(f"{file}#t=50,51")) > RATE
        assert tracemalloc.get_traced_memory()[0] < file.stat().st_size / 2
    finally:
        tracemalloc.stop()


def test_more_than_a_wav_is_made_for_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "days.flac"
    with soundfile.SoundFile(file, "w", 96_000, 8, "PCM_16", format="FLAC") as out:
        out.write(np.zeros((1, 8), np.int16))
    data = bytearray(file.read_bytes())
    data[21:26] = bytes([data[21] & 0xF0 | 1]) + bytes(4)  # 2^32 frames
    file.write_bytes(data)
    with pytest.raises(TooLarge, match="expected at most 1024 MiB of samples, got more"):
        medium(f"{file}#t=1")


def test_a_file_is_hashed_as_it_is(tmp_path: Path) -> None:
    file = put(tmp_path / "a.wav", noise(1))
    assert medium_sha256(str(file)) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert medium_sha256(f"{file}#t=0.5") == hashlib.sha256(medium(f"{file}#t=0.5")).hexdigest()
