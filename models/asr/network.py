"""Waveform in, character log-probabilities out: a small conformer trained with CTC.

The log-mel front end is part of the graph, so that training and serving cannot disagree about it. Whatever lies beyond
a clip's length is masked at every step that looks sideways: padding never changes an answer.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.asr.frames import BLANK, CONTEXT, HOP, SUBSAMPLING, WINDOW
from models.media import SAMPLE_RATE
from models.precision import has_fast_bfloat16

TWICE = {"cpu": 0.4, "cuda": 1.0}  # share of the batches of which two views must agree; on a CPU it doubles their time
CONSISTENCY = 0.2  # weight of the disagreement between the two
TIME_MASKS, MEL_MASKS = (10, 0.05), (2, 0.2)  # how many stretches are hidden in training, each up to that share of all


@dataclass(frozen=True)
class Settings:
    """The sizes of a network and what it can write: ``alphabet`` holds single characters, the space among them.

    ``spelling`` is what is known of texts in this alphabet, as ``models.asr.spelling`` packs it; empty for nothing.
    """

    alphabet: tuple[str, ...]
    spelling: str = ""
    mels: int = 80
    width: int = 176
    blocks: int = 6
    heads: int = 4
    kernel: int = 15
    expansion: int = 2
    dropout: float = 0.15

    def __post_init__(self) -> None:
        object.__setattr__(self, "alphabet", tuple(self.alphabet))
        if any(len(symbol) != 1 for symbol in self.alphabet) or len(set(self.alphabet)) != len(self.alphabet):
            raise ValueError(f"Settings.alphabet: expected different single characters, got {self.alphabet}")
        if self.width % self.heads or self.width % 2 or self.kernel % 2 == 0:
            raise ValueError(f"Settings: expected an even width divisible by heads and an odd kernel, got {self}")


@dataclass(frozen=True)
class Batch:
    """Padded clips and the texts spoken in them.

    waveform (batch, samples) float32; lengths (batch,) int64 samples; targets (batch, symbols) int64 classes, padded;
    target_lengths (batch,) int64; tempo (batch,) float32, at how many times its own each clip is heard, or None.
    """

    waveform: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    tempo: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        given = {name: tensor for name, tensor in vars(self).items() if tensor is not None}
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in given.items()})


class Network(nn.Module):
    """A conformer CTC network over the characters of its settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.mel = LogMel(settings.mels)
        self.warping = BandWarp()
        self.masking = SpecAugment()
        self.subsampling = Subsampling(settings.mels, settings.width)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(settings.width)
        self.head = nn.Linear(settings.width, 1 + len(settings.alphabet))

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of blank and symbols, frame by frame.

        Args:
            waveform: (batch, samples) float32 in [-1, 1] at 16 kHz.
            lengths: (batch,) int64, samples of each clip, at least 1.

        Returns:
            log_probs (batch, frames, 1 + symbols); frame lengths (batch,) int64, each frame 40 ms, the first of them
            centred ``CONTEXT`` frames before its start; embedding (batch, width), the mean over the clip's frames.
        """
        return self.heard(*self.mel(waveform, lengths))

    def heard(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What ``forward`` returns, from log-mel features (batch, frames, mels) and their lengths in frames."""
        hidden, frames = self.subsampling(features, lengths)
        mask = _mask(frames, hidden.shape[1])
        for block in self.blocks:
            hidden = block(hidden, mask)
        hidden = self.norm(hidden)
        weight = mask.unsqueeze(2).to(hidden.dtype)
        embedding = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        return functional.log_softmax(self.head(hidden).float(), dim=2), frames, embedding.float()


def loss(network: Network, batch: Batch) -> Tensor:
    """CTC of a masked view of each clip; some batches are seen twice, and the views have to agree (``TWICE``).

    The agreement is that of CR-CTC (Yao et al. 2024). Each clip's loss is divided by its length in characters; the mean
    over the clips is returned. A clip too short for its text has no path and counts nothing there.
    """
    device = batch.waveform.device
    views = 2 if torch.rand(()).item() < TWICE[device.type] else 1
    with torch.autocast(device.type, enabled=False):  # heard as when serving, whatever the training's numbers
        features, lengths = network.mel(batch.waveform, batch.lengths)
    features = network.warping(features)
    if batch.tempo is not None:
        features, lengths = at_tempo(features, lengths, batch.tempo)
    masked = torch.cat([network.masking(features, lengths) for _ in range(views)])
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        log_probs, frames, _ = network.heard(masked, lengths.repeat(views))
    each = functional.ctc_loss(
        log_probs.transpose(0, 1),
        batch.targets.repeat(views, 1),
        frames,
        batch.target_lengths.repeat(views),
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
    size = (batch.target_lengths + 1).repeat(views)
    if views == 2:
        first, second = log_probs.chunk(2)
        each = each + CONSISTENCY * disagreement(first, second, frames[: len(lengths)]).repeat(2)
    return (each / size).mean()


def at_tempo(features: Tensor, lengths: Tensor, tempo: Tensor) -> tuple[Tensor, Tensor]:
    """Features (batch, frames, mels) of clips that are spoken faster or slower at the same pitch; lengths in frames.

    Args:
        tempo: (batch,) how many times as fast.
    """
    last = (lengths - 1).unsqueeze(1)
    sped = (last / tempo.unsqueeze(1)).long()
    place = torch.arange(int(sped.max()) + 1, device=features.device) * tempo.unsqueeze(1)
    low = torch.minimum(place.long(), last)
    share = (place - low).clamp(max=1).unsqueeze(2)
    size = (-1, -1, features.shape[2])
    below, above = (
        features.gather(1, frame.unsqueeze(2).expand(size)) for frame in (low, torch.minimum(low + 1, last))
    )
    return torch.lerp(below, above, share), sped.squeeze(1) + 1


def disagreement(first: Tensor, second: Tensor, frames: Tensor) -> Tensor:
    """How far two views of each clip are apart (batch,): KL both ways, each view learning from the other as it is.

    Args:
        first, second: log-probabilities (batch, frames, classes).
        frames: (batch,) how many frames of each clip count.
    """
    both = functional.kl_div(first, second.detach(), reduction="none", log_target=True)
    both = both + functional.kl_div(second, first.detach(), reduction="none", log_target=True)
    mask = _mask(frames, first.shape[1]).to(both.dtype)
    return 0.5 * (both.sum(dim=2) * mask).sum(dim=1)


class LogMel(nn.Module):
    """Log-mel energies every 10 ms, normalised over each clip, with silence around it.

    The DFT is a convolution with windowed sines and cosines, which exports to ONNX and is faster there than STFT; in
    training the same numbers come from an FFT.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.register_buffer("basis", dft_basis(), persistent=False)
        self.register_buffer("filters", mel_filters(mels), persistent=False)

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) -> (batch, frames, mels), lengths in frames."""
        heard = waveform * _mask(lengths, waveform.shape[1]).to(waveform.dtype)
        power = self._power_by_fft(heard) if self.training else self._power(heard)
        energy = torch.matmul(self.filters, power)  # (batch, mels, frames)
        features = torch.log(1e5 * energy + 1).transpose(1, 2)  # 0 in silence, which leaves no rounding to magnify
        frames = lengths // HOP + 1
        mask = _mask(frames, features.shape[1]).unsqueeze(2).to(features.dtype)
        count = mask.sum(dim=1, keepdim=True) * features.shape[2]
        mean = (features * mask).sum(dim=(1, 2), keepdim=True) / count
        centred = (features - mean) * mask
        spread = (centred.square().sum(dim=(1, 2), keepdim=True) / count).sqrt()
        around = CONTEXT * SUBSAMPLING
        return functional.pad(centred / (spread + 0.1), (0, 0, around, around)), frames + 2 * around

    def _power(self, heard: Tensor) -> Tensor:
        """(batch, samples) -> power (batch, bins, frames)."""
        parts = functional.conv1d(heard.unsqueeze(1), self.basis, stride=HOP, padding=WINDOW // 2)
        real, imaginary = parts.chunk(2, dim=1)
        return real.square() + imaginary.square()

    def _power_by_fft(self, heard: Tensor) -> Tensor:
        framed = functional.pad(heard, (WINDOW // 2, WINDOW // 2)).unfold(1, WINDOW, HOP)
        window = torch.hann_window(WINDOW, device=heard.device)
        spectrum = torch.view_as_real(torch.fft.rfft(framed * window))
        return spectrum.square().sum(dim=3).transpose(1, 2)


class BandWarp(nn.Module):
    """Moves the mel bands a little up or down, as longer and shorter vocal tracts do (Jaitly and Hinton 2013)."""

    def __init__(self, most: float = 0.15) -> None:
        super().__init__()
        self.most = most

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, mels) -> in training, each clip's band k is read from k times the clip's own factor."""
        if not self.training:
            return features
        batch, frames, mels = features.shape
        factor = 1 + self.most * (2 * torch.rand(batch, 1, device=features.device) - 1)
        place = (torch.arange(mels, device=features.device) * factor).clamp(max=mels - 1.001)
        low = place.long()
        share = (place - low).unsqueeze(1)
        below, above = (features.gather(2, band.unsqueeze(1).expand(batch, frames, mels)) for band in (low, low + 1))
        return torch.lerp(below, above, share)


class SpecAugment(nn.Module):
    """Hides random stretches of time and of frequency while training (Park et al. 2019)."""

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, mels) -> in training, stretches of each clip are set to the mean."""
        if not self.training:
            return features
        _, frames, mels = features.shape
        whole = torch.full_like(lengths, mels)
        time = stretches(lengths, frames, *TIME_MASKS)
        mel = stretches(whole, mels, *MEL_MASKS)
        return features.masked_fill(time.unsqueeze(2) | mel.unsqueeze(1), 0.0)


class Subsampling(nn.Module):
    """Two convolutions over time that each keep every second frame.

    They take the mel bands as channels: convolving over frequency too costs half of a small network's training time.
    """

    def __init__(self, mels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(mels, width, 5, stride=2, padding=2)
        self.second = nn.Conv1d(width, width, 5, stride=2, padding=2)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, mels) -> (batch, frames / 4, width), lengths in those frames."""
        hidden = functional.silu(self.first(features.transpose(1, 2)))  # (batch, width, frames / 2)
        lengths = (lengths + 1) // 2
        hidden = hidden * _mask(lengths, hidden.shape[2]).unsqueeze(1).to(hidden.dtype)
        hidden = functional.silu(self.second(hidden))
        return hidden.transpose(1, 2), (lengths + 1) // 2


class Block(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward (Gulati et al. 2020).

    Positions come from the convolutions, which see a frame's neighbours; attention itself has none.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.before = FeedForward(settings)
        self.attention = Attention(settings)
        self.convolution = Convolution(settings)
        self.after = FeedForward(settings)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(batch, frames, width), mask (batch, frames) true on the clip -> (batch, frames, width)."""
        hidden = hidden + 0.5 * self.before(hidden)
        hidden = hidden + self.attention(hidden, mask)
        hidden = hidden + self.convolution(hidden, mask)
        hidden = hidden + 0.5 * self.after(hidden)
        normed: Tensor = self.norm(hidden)
        return normed


class FeedForward(nn.Sequential):
    """Two layers on each frame alone."""

    def __init__(self, settings: Settings) -> None:
        inner = settings.width * settings.expansion
        super().__init__(
            nn.LayerNorm(settings.width),
            nn.Linear(settings.width, inner),
            nn.SiLU(),
            nn.Linear(inner, settings.width),
            nn.Dropout(settings.dropout),
        )


class Attention(nn.Module):
    """Every frame looks at every frame of its clip."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.norm = nn.LayerNorm(settings.width)
        self.project = nn.Linear(settings.width, 3 * settings.width)
        self.out = nn.Linear(settings.width, settings.width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(batch, frames, width), mask (batch, frames) -> (batch, frames, width)."""
        batch, frames, width = hidden.shape
        parts = self.project(self.norm(hidden)).view(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (batch, heads, frames, width / heads)
        apart = (1.0 - mask.to(query.dtype)).mul(-1e9)[:, None, None, :]
        # so short, this beats fused kernels
        heat = (query / math.sqrt(width // self.heads)) @ key.transpose(2, 3) + apart
        seen = torch.softmax(heat, dim=3, dtype=torch.float32).to(value.dtype) @ value
        mixed: Tensor = self.out(seen.transpose(1, 2).reshape(batch, frames, width))
        return mixed


class Convolution(nn.Module):
    """A gated depthwise convolution over time."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width, kernel = settings.width, settings.kernel
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.between = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(batch, frames, width), mask (batch, frames) -> (batch, frames, width)."""
        gated = functional.glu(self.gate(self.norm(hidden)), dim=2) * mask.unsqueeze(2).to(hidden.dtype)
        spread = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = self.out(functional.silu(self.between(spread)))
        return mixed


def dft_basis() -> Tensor:
    """Hann-windowed cosines, then sines, as convolution kernels: (2 * bins, 1, WINDOW)."""
    time = torch.arange(WINDOW, dtype=torch.float64)
    bins = torch.arange(WINDOW // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi * bins.unsqueeze(1) * time / WINDOW
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    return (torch.cat([torch.cos(angle), torch.sin(angle)]) * window).unsqueeze(1).float()


def mel_filters(mels: int) -> Tensor:
    """Triangular filters evenly spaced on the mel scale from 20 Hz to half the sample rate: (mels, bins).

    mel = 2595 log10(1 + f / 700) (O'Shaughnessy 1987), as in HTK.
    """

    def to_mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    edges = torch.linspace(to_mel(20), to_mel(SAMPLE_RATE / 2), mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (edges / 2595) - 1)
    hertz = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1, dtype=torch.float64)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


def _mask(lengths: Tensor, size: int) -> Tensor:
    """(batch,) -> (batch, size), true below each length."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def stretches(lengths: Tensor, size: int, count: int, share: float) -> Tensor:
    """(batch,) -> (batch, size), true on ``count`` random stretches of up to ``share`` of each length."""
    shape = (len(lengths), count, 1)
    width = torch.rand(shape, device=lengths.device) * share * lengths.view(-1, 1, 1)
    start = torch.rand(shape, device=lengths.device) * (lengths.view(-1, 1, 1) - width)
    place = torch.arange(size, device=lengths.device)
    return ((place >= start) & (place < start + width)).any(dim=1)
