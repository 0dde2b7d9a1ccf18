"""Log-mel features as the recognisers of others want them, in numpy: Kaldi's (icefall, sherpa, WeNet, w2v-BERT), and
NeMo's.

Frames are 25 ms, every 10 ms, of sound at 16 kHz; spectra have 512 points.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.errors import InvalidInput
from models.media import SAMPLE_RATE, Waveform
from models.records import STRICT

WINDOW, HOP, FFT = 400, 160, 512
_PREEMPHASIS = 0.97
_LEAST_POWER = float(np.finfo(np.float32).eps)  # Kaldi's floor under the logarithm
_ADDED_POWER = 2.0**-24  # NeMo's addition to it


@dataclass(frozen=True)
class LogMel:
    """Features of one kind: "kaldi" (``snip_edges=False``, no dither), "w2v-bert" (Kaldi's, ``snip_edges=True``, two
    frames side by side in each row) or "nemo" (its mel spectrogram preprocessor).

    ``mels`` bands from ``low_hz`` to ``high_hz``, which counts from half the sample rate downwards if it is not
    positive. Samples in [-1, 1] are multiplied by ``gain`` first. "per_feature" brings each band of a clip to mean 0
    and deviation 1.
    """

    kind: Literal["kaldi", "nemo", "w2v-bert"] = "kaldi"
    mels: int = 80
    low_hz: float = 20.0
    high_hz: float = 0.0
    gain: float = 1.0
    normalise: Literal["none", "per_feature"] = "none"

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.mels < 1 or not 0 <= self.low_hz < self.highest_hz <= SAMPLE_RATE / 2 or self.gain <= 0:
            raise InvalidInput(f"input.features: expected mels >= 1, 0 <= low_hz < high_hz <= {SAMPLE_RATE // 2} "
                               f"and gain > 0, got {self}")  # fmt: skip

    @property
    def highest_hz(self) -> float:
        """Where the highest band ends."""
        return self.high_hz if self.high_hz > 0 else SAMPLE_RATE / 2 + self.high_hz

    @property
    def width(self) -> int:
        """Columns of the features."""
        return self.mels * (2 if self.kind == "w2v-bert" else 1)

    def of(self, waveform: Waveform) -> NDArray[np.float32]:
        """Features (frames, width) of a clip of at least one sample."""
        sound = waveform.astype(np.float64) * self.gain
        power = _nemo_power(sound) if self.kind == "nemo" else _kaldi_power(sound, whole=self.kind == "w2v-bert")
        if self.kind != "nemo":
            energy = power[:, : FFT // 2] @ _kaldi_filters(self).T
            values = np.log(np.maximum(energy, _LEAST_POWER))
        else:
            values = np.log(power @ _slaney_filters(self).T + _ADDED_POWER)
        if self.normalise == "per_feature":
            spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(self.mels)
            values = (values - values.mean(axis=0)) / (spread + 1e-5)
        if self.kind == "w2v-bert":  # the last frame of an odd number goes, as its mask has it
            values = values[: len(values) // 2 * 2].reshape(-1, self.width)
        return values.astype(np.float32)


def timbre(waveform: Waveform) -> tuple[float, ...]:
    """The mean and then the deviation of 40 bands over a clip: how it sounds, not what is said.

    An embedding of clips for models that give none.
    """
    bands = LogMel(mels=40).of(waveform).astype(np.float64)
    return (*bands.mean(axis=0).tolist(), *bands.std(axis=0).tolist())


def _kaldi_power(sound: Floats, whole: bool) -> Floats:
    """Power spectra (frames, 257): frames centred every 10 ms, the clip mirrored at its ends, each frame without its
    mean, pre-emphasised, under Povey's window (kaldi/feat/feature-window.cc). ``whole``: only frames that lie inside
    the clip, the first at its beginning, and two of them at least.
    """
    frames = max(2, 1 + (len(sound) - WINDOW) // HOP) if whole else max(1, (len(sound) + HOP // 2) // HOP)
    first = 0 if whole else (HOP - WINDOW) // 2
    place = np.arange(frames)[:, None] * HOP + first + np.arange(WINDOW)
    period = 2 * len(sound)
    mirrored = np.where(place % period < len(sound), place % period, period - 1 - place % period)
    framed = sound[mirrored]
    framed = framed - framed.mean(axis=1, keepdims=True)
    before = np.concatenate([framed[:, :1], framed[:, :-1]], axis=1)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))) ** 0.85
    spectrum = np.fft.rfft((framed - _PREEMPHASIS * before) * window, FFT)
    return np.asarray(np.abs(spectrum) ** 2)


def _nemo_power(sound: Floats) -> Floats:
    """Power spectra (frames, 257): the whole clip pre-emphasised, then a centred short-time Fourier transform of zero
    padding with a symmetric Hann window of 25 ms in the middle of 512 points, as torch.stft does it.
    """
    sharp = np.concatenate([sound[:1], sound[1:] - _PREEMPHASIS * sound[:-1]])
    padded = np.pad(sharp, FFT // 2)
    frames = max(1, len(sound) // HOP)
    place = np.arange(frames)[:, None] * HOP + np.arange(FFT)
    window = np.zeros(FFT)
    window[(FFT - WINDOW) // 2 :][:WINDOW] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return np.asarray(np.abs(np.fft.rfft(padded[place] * window, FFT)) ** 2)


def _kaldi_filters(wants: LogMel) -> Floats:
    """Triangles (mels, 256), even on the mel scale and straight there: 1127 ln(1 + f / 700)."""

    def to_mel(hertz: Floats | float) -> Floats:
        return np.asarray(1127 * np.log1p(np.asarray(hertz) / 700))

    edges = np.linspace(to_mel(wants.low_hz), to_mel(wants.highest_hz), wants.mels + 2)
    places = to_mel(np.arange(FFT // 2) * SAMPLE_RATE / FFT)
    return _triangles(edges, places)


def _slaney_filters(wants: LogMel) -> Floats:
    """Triangles (mels, 257) of area 1, straight in hertz, even on Slaney's scale: linear to 1 kHz, then logarithmic."""
    step = np.log(6.4) / 27

    def to_mel(hertz: float) -> float:
        return hertz * 3 / 200 if hertz < 1000 else 15 + float(np.log(hertz / 1000)) / step

    mels = np.linspace(to_mel(wants.low_hz), to_mel(wants.highest_hz), wants.mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * step))
    places = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
    return np.asarray(_triangles(edges, places) * (2 / (edges[2:] - edges[:-2]))[:, None])


def _triangles(edges: Floats, places: Floats) -> Floats:
    """Values (bands, places) of triangles from edge i over edge i + 1 down to edge i + 2."""
    rising = (places - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - places) / (edges[2:] - edges[1:-1])[:, None]
    return np.asarray(np.maximum(0, np.minimum(rising, falling)))
