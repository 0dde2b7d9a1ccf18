"""Every accepted format comes out right; everything else is one error that names file, expectation and finding."""

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from models.errors import InvalidInput, NotFound, TooLarge, UnreadableMedia
from models.media import SAMPLE_RATE, Limits, image_size, media_type, read, read_audio, read_image
from models.recordings import duration_s

SECONDS = 1.5
SOUND_KINDS = {
    ("WAV", "PCM_U8"): "audio/wav",
    ("WAV", "PCM_16"): "audio/wav",
    ("WAV", "PCM_24"): "audio/wav",
    ("WAV", "PCM_32"): "audio/wav",
    ("WAV", "FLOAT"): "audio/wav",
    ("WAV", "DOUBLE"): "audio/wav",
    ("WAV", "ULAW"): "audio/wav",
    ("RF64", "PCM_16"): "audio/wav",
    ("FLAC", "PCM_16"): "audio/flac",
    ("FLAC", "PCM_24"): "audio/flac",
    ("OGG", "VORBIS"): "audio/ogg",
    ("OGG", "OPUS"): "audio/ogg",
    ("MP3", "MPEG_LAYER_III"): "audio/mpeg",
}


def tone(rate: int, seconds: float = SECONDS) -> NDArray[np.float32]:
    """A 440 Hz sine that swells, so that a shift in time or a lost end shows."""
    t = np.arange(round(rate * seconds)) / rate
    return (0.5 * t / seconds * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def sound(kind: str, subtype: str, rate: int = 16000, channels: int = 1, seconds: float = SECONDS) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.repeat(tone(rate, seconds)[:, None], channels, 1), rate, format=kind, subtype=subtype)
    return file.getvalue()


def picture(width: int = 40, height: int = 24) -> NDArray[np.uint8]:
    """Red rises to the right, green downwards, so that a turn or a flip shows."""
    red = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return np.stack([red, green, np.full_like(red, 90)], -1).astype(np.uint8)


def encode(image: Pillow.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def close(got: NDArray[np.uint8], expected: NDArray[np.uint8], tolerance: float = 8) -> bool:
    return got.shape == expected.shape and float(np.abs(got.astype(int) - expected).mean()) < tolerance


@contextmanager
def peak_memory(limit: float) -> Iterator[None]:
    """Fails where more than ``limit`` bytes were held at once by Python and numpy."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


IMAGES = {
    "jpeg": encode(Pillow.fromarray(picture()), "JPEG", quality=95),
    "progressive": encode(Pillow.fromarray(picture()), "JPEG", quality=95, progressive=True),
    "png": encode(Pillow.fromarray(picture()), "PNG"),
    "webp": encode(Pillow.fromarray(picture()), "WEBP", quality=95),
    "lossless webp": encode(Pillow.fromarray(picture()), "WEBP", lossless=True),
}
SOUNDS = {key: sound(*key) for key in SOUND_KINDS}


@pytest.mark.parametrize("key", IMAGES)
def test_image_formats_decode_to_the_picture(key: str) -> None:
    image = read_image(IMAGES[key], key)
    assert image.dtype == np.uint8
    assert close(image, picture())


@pytest.mark.parametrize("key", SOUND_KINDS)
def test_sound_formats_decode_to_the_tone(key: tuple[str, str]) -> None:
    assert media_type(SOUNDS[key]) == SOUND_KINDS[key]
    waveform = read_audio(SOUNDS[key], "tone")
    assert waveform.dtype == np.float32
    assert len(waveform) == len(tone(SAMPLE_RATE))
    assert np.abs(waveform - tone(SAMPLE_RATE)).mean() < 0.02


@pytest.mark.parametrize("key", SOUND_KINDS)
def test_the_length_of_a_sound_is_told_without_decoding_it(key: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "tone").write_bytes(SOUNDS[key])
    assert duration_s(str(tmp_path / "tone")) == pytest.approx(SECONDS, abs=1e-3)
    (tmp_path / "tone").write_bytes(SOUNDS[key][:-9])
    if key[0] != "FLAC":  # of which only the samples tell that some are missing
        with pytest.raises(UnreadableMedia, match="tone: "):
            duration_s(str(tmp_path / "tone"))


def test_what_is_no_sound_has_no_length(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="expected a sound file, got no such file"):
        duration_s(str(tmp_path / "gone.wav"))
    silence = sound("WAV", "PCM_16", seconds=0)
    for data, message in ((IMAGES["jpeg"], "got image/jpeg"), (silence, "at least one sample")):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(UnreadableMedia, match=message):
            duration_s(str(tmp_path / "a"))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_rate_and_number_of_channels_becomes_16_khz_mono(rate: int, channels: int) -> None:
    waveform = read_audio(sound("FLAC", "PCM_16", rate, channels), "tone")
    assert abs(len(waveform) - SECONDS * SAMPLE_RATE) <= 1
    assert np.abs(waveform[:20000] - tone(SAMPLE_RATE)[:20000]).max() < 0.01


def test_more_channels_than_anybody_records_are_refused() -> None:
    assert read_audio(sound("WAV", "PCM_16", channels=64), "x").size
    with pytest.raises(UnreadableMedia, match=r"^x: expected at most 64 channels, got 255"):
        read_audio(sound("OGG", "OPUS", 48000, channels=255, seconds=0.1), "x")


def test_channels_are_averaged() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.array([[0.5, -0.25]] * 100), SAMPLE_RATE, format="WAV", subtype="FLOAT")
    assert read_audio(file.getvalue(), "x") == pytest.approx(np.full(100, 0.125))


def test_long_sounds_are_decoded_in_blocks_without_a_seam() -> None:
    samples = (0.4 * np.sin(np.arange(700_000) * 0.1)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    assert np.array_equal(read_audio(file.getvalue(), "x"), samples)


def test_each_channel_is_clipped_by_itself() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.array([[3.0, 0.0]]), SAMPLE_RATE, format="WAV", subtype="FLOAT")
    assert read_audio(file.getvalue(), "x").tolist() == [0.5]


def test_samples_beyond_full_scale_are_clipped_and_those_that_are_no_numbers_refused() -> None:
    loud, broken = io.BytesIO(), io.BytesIO()
    soundfile.write(loud, np.array([3e38, -3e38, 0.5], np.float32)[:, None].repeat(2, 1), 16000, "FLOAT", format="WAV")
    assert read_audio(loud.getvalue(), "x").tolist() == [1, -1, 0.5]
    soundfile.write(broken, np.array([0.5, np.nan], np.float32), SAMPLE_RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(UnreadableMedia, match=r"^x\.wav: expected finite samples, got NaN"):
        read_audio(broken.getvalue(), "x.wav")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_undone(kind: str, orientation: int, tmp_path: Path) -> None:
    upright = picture()
    stored = {  # what a camera held that way writes
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = encode(Pillow.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    assert close(read_image(data, "x"), upright, tolerance=12)
    (tmp_path / "x").write_bytes(data)
    assert image_size(tmp_path / "x") == (40, 24)


def test_16_bit_grey_keeps_its_high_byte() -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    image = read_image(encode(Pillow.fromarray(values), "PNG"), "x")
    assert image[0, :, 1].tolist() == [0, 0, 1, 128, 255]


def test_16_bit_colour_keeps_its_high_byte() -> None:
    pixels = struct.pack(">6H", 65535, 32768, 255, 0, 256, 4096)
    image = read_image(_png(2, 1, 16, 2, b"\0" + pixels), "x")
    assert image.tolist() == [[[255, 128, 0], [0, 1, 16]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    source = Pillow.fromarray(picture()).convert(mode)
    data = encode(source, "JPEG" if mode == "CMYK" else "PNG", **({"quality": 95} if mode == "CMYK" else {}))
    assert close(read_image(data, "x"), np.asarray(source.convert("RGB")))


def test_transparent_pixels_are_laid_on_white() -> None:
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8)
    assert read_image(encode(Pillow.fromarray(rgba), "PNG"), "x").tolist() == [[[255, 255, 255], [10, 20, 30]]]
    palette = Pillow.new("P", (2, 1))
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.putpixel((1, 0), 1)
    assert read_image(encode(palette, "PNG", transparency=0), "x").tolist() == [[[255] * 3, [50, 60, 70]]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    first, second = Pillow.new("RGB", (8, 8), "red"), Pillow.new("RGB", (8, 8), "blue")
    data = encode(first, kind, save_all=True, append_images=[second], duration=100)
    assert close(read_image(data, "x"), np.asarray(first))


def _outcome(reader: Callable[[bytes, str], NDArray[Any]], data: bytes, name: str) -> NDArray[Any] | str:
    try:
        return reader(data, name)
    except InvalidInput as error:
        return str(error)


@pytest.mark.parametrize("key", IMAGES)
def test_an_image_cut_anywhere_is_an_error_or_whole(key: str) -> None:
    whole = read_image(IMAGES[key], key)
    for length in range(0, len(IMAGES[key]), 7):
        outcome = _outcome(read_image, IMAGES[key][:length], "cut.img")
        if isinstance(outcome, str):
            assert outcome.startswith("cut.img: expected ")
        else:
            assert key == "png"  # only the closing block behind the last pixel may be missing
            assert np.array_equal(outcome, whole)


@pytest.mark.parametrize("key", [key for key in SOUND_KINDS if key != ("RF64", "PCM_16")])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_sound_cut_anywhere_is_an_error(key: tuple[str, str], share: float) -> None:
    with pytest.raises(UnreadableMedia, match=r"^cut\.snd: expected .*, got "):
        read_audio(SOUNDS[key][: int(len(SOUNDS[key]) * share)], "cut.snd")


def test_a_cut_is_called_a_cut() -> None:
    flac, ogg, mp3 = SOUNDS["FLAC", "PCM_16"], SOUNDS["OGG", "OPUS"], _mp3(None)
    between_frames = flac[: flac.rfind(b"\xff\xf8")]
    for data, message in (
        (between_frames, r"expected 24000 samples, got \d+: the file is cut or broken"),
        (ogg[:-1], rf"expected whole Ogg pages, got one cut at byte {len(ogg) - 1}"),
        (ogg[:20], "expected whole Ogg pages, got one cut at byte 20"),
        (mp3[:-1], rf"expected whole MP3 frames, got one cut at byte {len(mp3) - 1}"),
    ):
        with pytest.raises(UnreadableMedia, match=f"^x: {message}"):
            read_audio(data, "x")


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "an empty file"),
        (b"only text, named x.jpg", "bytes that begin with b'only text, n'"),
        ("UTF-16 text looks like an MPEG header".encode("utf-16"), "bytes that begin with"),
        (b"GIF89a" + bytes(40), "bytes that begin with b'GIF89a"),
    ],
)
def test_what_is_no_medium_is_told_so(data: bytes, got: str) -> None:
    with pytest.raises(UnreadableMedia) as image_error:
        read_image(data, "x.jpg")
    assert str(image_error.value).startswith(f"x.jpg: expected a JPEG, PNG or WebP image, got {got}")
    with pytest.raises(UnreadableMedia) as sound_error:
        read_audio(data, "x.wav")
    assert str(sound_error.value).startswith(f"x.wav: expected WAV, FLAC, Ogg or MP3 audio, got {got}")


def test_images_and_sounds_are_not_taken_for_each_other() -> None:
    with pytest.raises(UnreadableMedia, match=r"a\.wav: expected WAV, FLAC, Ogg or MP3 audio, got image/jpeg"):
        read("asr", IMAGES["jpeg"], "a.wav")
    with pytest.raises(UnreadableMedia, match=r"a\.png: expected a JPEG, PNG or WebP image, got audio/flac"):
        read("lane", SOUNDS["FLAC", "PCM_16"], "a.png")
    assert read("detection", IMAGES["png"], "a.wav").shape == (24, 40, 3)  # the bytes count, not the name
    assert read("asr", SOUNDS["OGG", "OPUS"], "a.png").shape == (24000,)


def _png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_a_100_megapixel_image_is_refused_before_it_is_decoded() -> None:
    broken = _png(10_000, 10_000, 8, 2, b"no pixels: whoever decodes sees another error")
    with pytest.raises(TooLarge, match=r"^big\.png: expected at most 50 megapixels, got 10000x10000 \(100\.0 mega"):
        read_image(broken, "big.png")
    data = encode(Pillow.new("1", (10_000, 10_000)), "PNG")
    assert read_image(data, "big.png", Limits(max_image_megapixels=100)).shape == (10_000, 10_000, 3)


@pytest.mark.parametrize("side", [8_000, 16_383])
def test_a_large_webp_is_refused_by_its_canvas(side: int) -> None:
    canvas = (side - 1).to_bytes(3, "little")
    small = encode(Pillow.new("RGBA", (8, 8)), "WEBP", save_all=True, append_images=[Pillow.new("RGBA", (8, 8), "red")])
    assert small[12:16] == b"VP8X"
    with pytest.raises(TooLarge, match=r"^big\.webp: expected at most 50 megapixels, got"):
        read_image(small[:24] + canvas + canvas + small[30:], "big.webp")


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(UnreadableMedia, match=r"^x\.png: expected .* got "):
        read_image(_png(0, 5, 8, 2, b""), "x.png")


def _hour(kind: str) -> bytes:
    if kind == "mp3":  # one frame after the other, without a count
        data = sound("MP3", "MPEG_LAYER_III")
        body = data[200:]
        return body[body.find(b"\xff\xf3") :] * 2400
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3600 * 8000, np.int16), 8000, format=kind.upper(), subtype="PCM_16")
    data = file.getvalue()
    if kind == "flac":  # total number of samples: unknown
        return data[:21] + bytes([data[21] & 0xF0, 0, 0, 0, 0]) + data[26:]
    return data


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_an_hour_is_refused_with_little_memory(kind: str) -> None:
    data = _hour(kind)
    expected = rf"^long\.{kind}: expected at most 600 s of audio, got"
    with peak_memory(50e6 + len(data) * (kind == "mp3")), pytest.raises(TooLarge, match=expected):
        read_audio(data, f"long.{kind}")  # 600 s at 16 kHz are 38 MB


def test_flac_that_does_not_know_its_length_is_read_whole(tmp_path: Path) -> None:
    data = SOUNDS["FLAC", "PCM_16"]
    unknown = data[:21] + bytes([data[21] & 0xF0, 0, 0, 0, 0]) + data[26:]
    assert np.array_equal(read_audio(unknown, "x"), read_audio(data, "x"))
    (tmp_path / "a.flac").write_bytes(unknown)
    assert duration_s(str(tmp_path / "a.flac")) == SECONDS


@pytest.mark.parametrize(("size", "whole"), [(0xFFFFFFFF, True), (0x7FFFFFFF, True), (48001, False), (10**9, False)])
def test_wav_with_a_false_size_is_read_as_a_stream_or_called_cut(size: int, whole: bool) -> None:
    data = SOUNDS["WAV", "PCM_16"]
    at = data.index(b"data") + 4
    lying = data[:at] + struct.pack("<I", size) + data[at + 4 :]
    if whole:
        assert np.array_equal(read_audio(lying, "x"), read_audio(data, "x"))
    else:
        with pytest.raises(UnreadableMedia, match=rf"^x: expected {size} bytes of samples, got 48000: the file is cut"):
            read_audio(lying, "x")


def test_big_endian_wav_is_read() -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(16000), 16000, format="WAV", subtype="PCM_16", endian="BIG")
    assert file.getvalue().startswith(b"RIFX")
    assert np.array_equal(read_audio(file.getvalue(), "x"), read_audio(SOUNDS["WAV", "PCM_16"], "x"))


@pytest.mark.parametrize("key", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "OPUS"), ("OGG", "VORBIS")])
def test_a_sound_without_samples_is_refused(key: tuple[str, str]) -> None:
    with pytest.raises(UnreadableMedia, match=r"^empty: expected .*, got "):
        read_audio(sound(*key, seconds=0), "empty")


def test_an_absurd_sample_rate_is_refused() -> None:
    data = SOUNDS["WAV", "PCM_16"]
    at = data.index(b"fmt ") + 12
    for rate in (1, 2_000_000_000):
        with pytest.raises(UnreadableMedia, match=r"^x: expected a sample rate from 1000 to 768000 Hz, got \d+"):
            read_audio(data[:at] + struct.pack("<I", rate) + data[at + 4 :], "x")


def _mp3(frames_declared: int | None) -> bytes:
    """The tone as MP3 with another frame count, or none."""
    data = bytearray(SOUNDS["MP3", "MPEG_LAYER_III"])
    at = max(data.find(b"Xing"), data.find(b"Info"))
    data[at + 8 : at + 12] = struct.pack(">I", frames_declared or 0)
    if frames_declared is None:
        data[at : at + 4] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("declared", [None, 1, 10])
def test_mp3_with_no_or_too_low_a_count_is_read_whole(declared: int | None, capfd: pytest.CaptureFixture[str]) -> None:
    waveform = read_audio(_mp3(declared), "x")
    assert 0 <= len(waveform) - len(tone(16000)) < 4 * 1152  # the encoder's padding is no longer known
    assert capfd.readouterr().err == ""


def test_mp3_that_promises_more_frames_than_it_holds_is_cut() -> None:
    with pytest.raises(UnreadableMedia, match=r"^x: expected 100000 MP3 frames, got \d+: the file is cut"):
        read_audio(_mp3(100000), "x")


def test_tags_around_mp3_frames_do_not_matter(capfd: pytest.CaptureFixture[str]) -> None:
    data = SOUNDS["MP3", "MPEG_LAYER_III"]
    id3 = b"ID3\x04\0\0" + bytes([0, 0, 1, 72]) + bytes(200)
    for after in (b"TAG" + b"x" * 125, b"APETAGEX" + b"x" * 60, bytes(500)):
        assert np.array_equal(read_audio(id3 + data + after, "x"), read_audio(data, "x"))
    assert media_type(id3) == "audio/mpeg"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("tags", [b"TAG" + b"x" * 125, b"ID3\x04\0\0\0\0\0\x05xxxxx"])
def test_a_second_mp3_behind_the_tags_of_the_first_is_not_passed_over(tags: bytes) -> None:
    data = SOUNDS["MP3", "MPEG_LAYER_III"]
    expected = f"^x: expected one MP3, got another one behind its tags, from byte {len(data + tags)} on"
    with pytest.raises(UnreadableMedia, match=expected):
        read_audio(data + tags + data, "x")


@pytest.mark.parametrize("flags", [1, 3])
def test_an_mp3_frame_too_small_for_a_count_has_none(flags: int) -> None:
    """Of 26 bytes, 21 of which are taken: the four letters may stand there by chance."""
    frame = b"\xff\xf3\x10\x00".ljust(21, b"\0") + b"Xing" + bytes([flags])
    assert len(read_audio(frame, "x")) == 34  # of 576 samples at 22,050 Hz, less the 529 that a decoder is late


def test_garbage_between_mp3_frames_is_named_by_its_byte() -> None:
    data = bytearray(SOUNDS["MP3", "MPEG_LAYER_III"])
    data[2000:2400] = b"x" * 400
    with pytest.raises(UnreadableMedia, match=r"^x: expected an MP3 frame at byte \d+, got b'xxxx'"):
        read_audio(bytes(data), "x")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_damage_inside_an_ogg_stream_is_an_error(subtype: str) -> None:
    data = bytearray(SOUNDS["OGG", subtype])
    data[-300] ^= 1  # the decoder would leave the page out without a word
    with pytest.raises(UnreadableMedia, match=r"^x: expected a whole Ogg page at byte \d+, got one with a wrong check"):
        read_audio(bytes(data), "x")
    with pytest.raises(UnreadableMedia, match=r"^x: expected an Ogg page at byte \d+, got b'junk'"):
        read_audio(SOUNDS["OGG", subtype] + b"junk behind", "x")


def test_an_ogg_stream_that_nobody_closed_is_read_as_far_as_it_goes() -> None:
    data = sound("OGG", "OPUS", seconds=10)
    open_end = data[: data.rfind(b"OggS")]
    assert 0.5 * 160_000 < len(read_audio(open_end, "x")) < 160_000


def test_image_size_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no\.jpg: expected an image, got no such file"):
        image_size(tmp_path / "no.jpg")
    (tmp_path / "x.jpg").write_bytes(IMAGES["jpeg"][:40])
    with pytest.raises(UnreadableMedia, match=r"x\.jpg: expected an image header, got a broken one"):
        image_size(tmp_path / "x.jpg")


def test_broken_side_information_neither_warns_nor_hides_the_picture(tmp_path: Path) -> None:
    """Run apart, with every warning an error: pytest has filters of its own."""
    exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x09\xff\xff\xff\xff\x01"
    (tmp_path / "exif.jpg").write_bytes(encode(Pillow.fromarray(picture()), "JPEG", exif=exif))
    png = IMAGES["png"]
    bad_animation = struct.pack(">I", 8) + b"acTL" + bytes(8)
    bad_animation += struct.pack(">I", zlib.crc32(b"acTL" + bytes(8)))
    (tmp_path / "animation.png").write_bytes(png[:33] + bad_animation + png[33:])
    (tmp_path / "huge.png").write_bytes(encode(Pillow.new("1", (10_000, 10_000)), "PNG"))
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from models.errors import TooLarge\nfrom models.media import read_image\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    try: print(read_image(path.read_bytes(), path.name).shape)\n"
        "    except TooLarge: print('too large')\n"
    )
    names = [str(tmp_path / name) for name in ("exif.jpg", "animation.png", "huge.png")]
    run = subprocess.run([sys.executable, "-W", "error", "-c", program, *names], capture_output=True, text=True)
    assert run.stderr == ""
    assert run.stdout.splitlines() == ["(24, 40, 3)", "(24, 40, 3)", "too large"]


SEEDS = [*IMAGES.values(), *SOUNDS.values()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_bytes_changed_at_random_give_a_medium_or_one_clear_error(data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(seed), 3000) - 1))
        seed[at] = data.draw(st.integers(0, 255))
    for reader in (read_image, read_audio):
        outcome = _outcome(reader, bytes(seed), "odd")
        assert outcome.startswith("odd: expected ") if isinstance(outcome, str) else outcome.size


def test_many_threads_read_the_same_as_one() -> None:
    def all_of_it(_: int) -> list[bytes]:
        images = [read_image(data, "x").tobytes() for data in IMAGES.values()]
        return images + [read_audio(data, "x").tobytes() for data in SOUNDS.values()]

    alone = all_of_it(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(together == alone for together in pool.map(all_of_it, range(16)))
