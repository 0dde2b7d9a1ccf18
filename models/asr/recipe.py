"""How the speech recogniser is trained: texts, augmentation and batches of clips of like length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from torch import Tensor

from models.asr.frames import HOP
from models.asr.network import Batch, Network, Settings
from models.asr.spelling import learn
from models.asr.transcripts import normalise
from models.errors import InvalidInput
from models.media import SAMPLE_RATE, Waveform, read_audio
from models.recordings import medium
from models.records import Item, Label, Transcript, require_kind

EPOCHS = 34
BATCH_SIZE = 32
LEARNING_RATE = 2e-3

BATCH_S = 32.0  # longest sound of one batch, its padding included; a second a clip where more clips are allowed
SPEED = 0.12  # clips are played up to this much slower or faster
NOISE_SHARE = 0.3  # clips that get background noise
ROOM_SHARE = 0.4  # clips heard through another microphone or in another room; of these,
NARROW_SHARE = 0.3  # so many lose everything above half the band, as on a telephone,
ECHO_SHARE = 0.3  # and so many echo
RESPONSE_DB, RESPONSE_KNOTS = 8.0, 8  # how far the response of a microphone is from flat, at so many places
TRIMMED_SHARE = 0.7  # clips that lose most of the quiet around them; quiet is
QUIET_DB = 35.0  # so far below the loudest, and
QUIET_S = (0.03, 0.25)  # so much of it stays
LOUDNESS_DB = (-12.0, 6.0)
NOISE_DB = (5.0, 30.0)  # speech over noise

INPUT_NAMES = ("waveform", "lengths")
OUTPUT_NAMES = ("log_probs", "frames", "embedding")


@dataclass(frozen=True)
class Variation:
    """What else is changed in clips: they are heard ``tempo`` times as fast, from and to, at the same pitch."""

    tempo: tuple[float, float] = (1.0, 1.0)


USUAL = Variation()
STRONG = Variation(tempo=(0.75, 1.3))


@dataclass(frozen=True)
class Example:
    """One clip: int16 samples at 16 kHz and its normalised text."""

    id: str
    samples: NDArray[np.int16]
    text: str

    @property
    def size(self) -> int:
        """Length in samples."""
        return len(self.samples)

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.samples.nbytes


def settings_for(labels: Iterable[Label], start: Settings | None) -> Settings:
    """The settings that can write these transcripts; the alphabet of ``start`` keeps its places, its spelling grows."""
    texts = [normalise(require_kind(label, Transcript).text) for label in labels]
    known = start.alphabet if start else (" ",)
    alphabet = (*known, *sorted(set("".join(texts)).difference(known)))
    spelling = learn(texts, start.spelling if start else "")
    return replace(start, alphabet=alphabet, spelling=spelling) if start else Settings(alphabet, spelling)


def prepare(item: Item, label: Label) -> Example:
    """Reads an item's sound.

    Raises:
        NotFound, UnreadableMedia, TooLarge: naming the file.
    """
    wave = read_audio(medium(item.uri), item.uri)
    samples = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
    return Example(item.id, samples, normalise(require_kind(label, Transcript).text))


def batches(sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """One epoch: clips of like length together, at most ``batch_size`` of them and ``BATCH_S`` or as many seconds.

    Lengths are blurred by a tenth, so that the company a clip keeps changes from epoch to epoch.
    """
    blurred = np.asarray(sizes) * rng.uniform(0.9, 1.1, len(sizes))
    most = max(BATCH_S, batch_size) * SAMPLE_RATE
    made: list[list[int]] = []
    longest = 0
    for index in np.argsort(blurred, kind="stable"):
        longest = max(longest, sizes[index]) if made else sizes[index]
        full = not made or len(made[-1]) >= batch_size or longest * (len(made[-1]) + 1) > most
        if full:
            made.append([])
            longest = sizes[index]
        made[-1].append(int(index))
    return [made[place] for place in rng.permutation(len(made))]


class Writes(Protocol):
    """The settings of any recogniser that writes symbols."""

    @property
    def alphabet(self) -> Sequence[str]:
        """The symbols, in the order of the classes after the blank."""


def collate(
    examples: Sequence[Example], settings: Writes, rng: np.random.Generator, variation: Variation = USUAL
) -> Batch:
    """Augments the clips and pads them to one length."""
    noises = [_to_float(example) for example in examples if not example.text]
    waves = [_augment(_to_float(example), noises if example.text else [], rng) for example in examples]
    waveform = np.zeros((len(waves), max(map(len, waves))), np.float32)
    for place, wave in enumerate(waves):
        waveform[place, : len(wave)] = wave
    classes = {symbol: number for number, symbol in enumerate(settings.alphabet, start=1)}
    targets = [[classes[symbol] for symbol in example.text] for example in examples]
    padded = np.zeros((len(targets), max(1, *map(len, targets))), np.int64)
    for place, target in enumerate(targets):
        padded[place, : len(target)] = target
    return Batch(
        waveform=torch.from_numpy(waveform),
        lengths=torch.tensor([len(wave) for wave in waves]),
        targets=torch.from_numpy(padded),
        target_lengths=torch.tensor([len(target) for target in targets]),
        tempo=None if variation is USUAL else torch.from_numpy(rng.uniform(*variation.tempo, len(waves))).float(),
    )


def warm_start(network: Network, state: dict[str, Tensor], previous: Settings) -> None:
    """Loads the weights of a version with fewer symbols; those it does not know keep their fresh rows.

    Raises:
        InvalidInput: the version has other sizes, or other first symbols.
    """
    own = network.state_dict()
    same = replace(network.settings, alphabet=previous.alphabet, spelling=previous.spelling) == previous
    if not same or network.settings.alphabet[: len(previous.alphabet)] != previous.alphabet:
        raise InvalidInput(f"warm start: expected the sizes and first symbols of {previous}, got {network.settings}")
    for name, value in state.items():
        if name.startswith("head."):
            own[name][: len(value)] = value
        else:
            own[name] = value
    network.load_state_dict(own)


def example_inputs(settings: Settings) -> tuple[tuple[Tensor, ...], dict[str, dict[int, Any]]]:
    """Inputs to trace the network with, and their dynamic axes."""
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples")
    inputs = (torch.zeros(2, 2 * SAMPLE_RATE), torch.tensor([2 * SAMPLE_RATE, SAMPLE_RATE]))
    return inputs, {"waveform": {0: batch, 1: samples}, "lengths": {0: batch}}


def parity_media(media: Sequence[Waveform]) -> list[Waveform]:
    """Each clip whole, as its first half and twice in a row; and one sample of silence."""
    variants = [variant for wave in media for variant in (wave, wave[: max(1, len(wave) // 2)], np.tile(wave, 2))]
    return [*variants, np.zeros(1, np.float32)]


def _to_float(example: Example) -> Waveform:
    return np.divide(example.samples, 32768, dtype=np.float32)


def _augment(wave: Waveform, noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """The clip with less quiet around it, at another speed, in another room, in noise, at another loudness."""
    if rng.random() < TRIMMED_SHARE:
        wave = trimmed(wave, rng)
    wave = _faster(wave, rng.uniform(1 - SPEED, 1 + SPEED))
    if rng.random() < ROOM_SHARE:
        wave = elsewhere(wave, rng)
    if rng.random() < NOISE_SHARE:
        wave = _mixed(wave, _noise(len(wave), noises, rng), rng.uniform(*NOISE_DB))
    gain = 10 ** (rng.uniform(*LOUDNESS_DB) / 20)
    clipped: Waveform = np.clip(wave * np.float32(gain), -1, 1)
    return clipped


def trimmed(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """Without most of the quiet before and after the sound: up to ``QUIET_S`` of it stay on either side."""
    count = len(wave) // HOP
    loudness = np.square(wave[: count * HOP].reshape(count, HOP)).mean(axis=1)
    loud = np.flatnonzero(loudness > 10 ** (-QUIET_DB / 10) * loudness.max(initial=0.0))
    if not len(loud):
        return wave
    before, after = (rng.uniform(*QUIET_S, 2) * SAMPLE_RATE).astype(int)
    return wave[max(0, loud[0] * HOP - before) : (loud[-1] + 1) * HOP + after]


def _faster(wave: Waveform, speed: float) -> Waveform:
    """Played ``speed`` times as fast, pitch included (linear interpolation)."""
    places = np.arange(max(1, int(len(wave) / speed)), dtype=np.float32) * np.float32(speed)
    before = np.minimum(places.astype(np.int32), len(wave) - 1)
    after = np.minimum(before + 1, len(wave) - 1)
    faster: Waveform = wave[before] + (wave[after] - wave[before]) * (places - before.astype(np.float32))
    return faster


def _noise(size: int, noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """Recorded noise where the batch holds some, else noise of a random colour."""
    if noises and rng.random() < 0.7:
        recorded = noises[int(rng.integers(len(noises)))]
        return np.resize(np.roll(recorded, int(rng.integers(len(recorded)))), size)
    length = next_fast_len(size, real=True)
    spectrum = rfft(rng.standard_normal(length, np.float32))
    spectrum *= np.arange(1, len(spectrum) + 1, dtype=np.float32) ** np.float32(-rng.uniform(0.0, 1.0))
    coloured: Waveform = irfft(spectrum, length)[:size]
    return coloured


def _mixed(wave: Waveform, noise: Waveform, above_db: float) -> Waveform:
    loud, quiet = np.sqrt(np.mean(wave**2)), np.sqrt(np.mean(noise**2))
    return wave + noise * np.float32(loud / (quiet + 1e-9) * 10 ** (-above_db / 20))


def elsewhere(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """As another microphone hears it: a random smooth frequency response, perhaps a narrow band or an echoing room.

    The room is noise that dies away, 60 dB in 0.1 to 0.5 s (Ko et al. 2017 simulate it likewise).
    """
    length = next_fast_len(len(wave) + SAMPLE_RATE // 4, real=True)
    spectrum = rfft(wave, length)
    octaves = np.log2(np.arange(1, len(spectrum) + 1, dtype=np.float32))
    knots = np.linspace(octaves[-1] - 7, octaves[-1], RESPONSE_KNOTS)
    response_db = np.interp(octaves, knots, rng.uniform(-RESPONSE_DB, RESPONSE_DB, RESPONSE_KNOTS))
    spectrum *= (10 ** (response_db / 20)).astype(np.float32)
    if rng.random() < NARROW_SHARE:
        spectrum[int(rng.uniform(0.4, 0.6) * len(spectrum)) :] = 0
    if rng.random() < ECHO_SHARE:
        spectrum *= rfft(_echo(rng), length)
    changed: Waveform = irfft(spectrum, length)[: len(wave)]
    return changed * np.float32(np.sqrt(np.mean(wave**2) / (np.mean(changed**2) + 1e-12)))


def _echo(rng: np.random.Generator) -> Waveform:
    """The impulse response of a random room, a quarter of a second long."""
    time = np.arange(SAMPLE_RATE // 4, dtype=np.float32) / SAMPLE_RATE
    fading = np.exp(-3 * np.log(10) * time / rng.uniform(0.1, 0.5)).astype(np.float32)
    tail: Waveform = rng.standard_normal(len(time), np.float32) * fading
    tail *= np.float32(rng.uniform(0.1, 0.7) / np.sqrt(np.sum(tail**2)))
    tail[0] = 1.0
    return tail
