"""How the speech recogniser is trained: texts, augmentation and batches of clips of like length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from torch import Tensor

from models.asr.network import Batch, Network, Settings
from models.asr.transcripts import normalise
from models.errors import InvalidInput
from models.media import SAMPLE_RATE, Waveform, read_audio
from models.records import Item, Label, Transcript

EPOCHS = 18
BATCH_SIZE = 32
LEARNING_RATE = 2e-3

BATCH_S = 12.0  # longest sound of one batch, its padding included
SPEED = 0.15  # clips are played up to this much slower or faster
NOISE_SHARE = 0.3  # clips that get background noise
NARROW_SHARE = 0.15  # clips that lose everything above half the band, as on a telephone
LOUDNESS_DB = (-12.0, 6.0)
NOISE_DB = (5.0, 30.0)  # speech over noise

INPUT_NAMES = ("waveform", "lengths")
OUTPUT_NAMES = ("log_probs", "frames", "embedding")


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
    """The settings that can write these transcripts; the alphabet of ``start`` keeps its places."""
    known = start.alphabet if start else (" ",)
    needed = {symbol for label in labels for symbol in normalise(_transcript(label).text)}
    alphabet = (*known, *sorted(needed.difference(known)))
    return replace(start, alphabet=alphabet) if start else Settings(alphabet)


def prepare(item: Item, label: Label) -> Example:
    """Reads an item's file.

    Raises:
        UnreadableMedia, TooLarge: naming the file.
    """
    wave = read_audio(Path(item.uri).read_bytes(), item.uri)
    samples = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)
    return Example(item.id, samples, normalise(_transcript(label).text))


def batches(sizes: Sequence[int], batch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """One epoch: clips of like length together, at most ``batch_size`` of them and ``BATCH_S`` seconds.

    Lengths are blurred by a tenth, so that the company a clip keeps changes from epoch to epoch.
    """
    blurred = np.asarray(sizes) * rng.uniform(0.9, 1.1, len(sizes))
    made: list[list[int]] = []
    longest = 0
    for index in np.argsort(blurred, kind="stable"):
        longest = max(longest, sizes[index]) if made else sizes[index]
        full = not made or len(made[-1]) >= batch_size or longest * (len(made[-1]) + 1) > BATCH_S * SAMPLE_RATE
        if full:
            made.append([])
            longest = sizes[index]
        made[-1].append(int(index))
    return [made[place] for place in rng.permutation(len(made))]


def collate(examples: Sequence[Example], settings: Settings, rng: np.random.Generator) -> Batch:
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
    )


def warm_start(network: Network, state: dict[str, Tensor], previous: Settings) -> None:
    """Loads the weights of a version with fewer symbols; those it does not know keep their fresh rows."""
    own = network.state_dict()
    same = replace(network.settings, alphabet=previous.alphabet) == previous
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


def _transcript(label: Label) -> Transcript:
    if not isinstance(label, Transcript):
        raise InvalidInput(f"speech training: expected a Transcript, got {type(label).__name__}")
    return label


def _to_float(example: Example) -> Waveform:
    return np.divide(example.samples, 32768, dtype=np.float32)


def _augment(wave: Waveform, noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """The clip at another speed, band, loudness and place, perhaps in noise."""
    wave = _faster(wave, rng.uniform(1 - SPEED, 1 + SPEED))
    if rng.random() < NOISE_SHARE:
        wave = _mixed(wave, _noise(len(wave), noises, rng), rng.uniform(*NOISE_DB))
    if rng.random() < NARROW_SHARE:
        wave = _narrowed(wave, rng.uniform(0.4, 0.6))
    gain = 10 ** (rng.uniform(*LOUDNESS_DB) / 20)
    clipped: Waveform = np.clip(wave * np.float32(gain), -1, 1)
    return clipped


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


def _narrowed(wave: Waveform, share: float) -> Waveform:
    """Without the frequencies above ``share`` of the band."""
    length = next_fast_len(len(wave), real=True)
    spectrum = rfft(wave, length)
    spectrum[int(share * len(spectrum)) :] = 0
    narrowed: Waveform = irfft(spectrum, length)[: len(wave)]
    return narrowed
