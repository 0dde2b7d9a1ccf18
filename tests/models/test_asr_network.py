"""The recogniser's network: its front end, its masks and its loss."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.asr import network as asr_network
from models.asr.frames import CONTEXT, WINDOW
from models.asr.network import (
    BandWarp,
    Batch,
    LogMel,
    Network,
    Settings,
    at_tempo,
    dft_basis,
    disagreement,
    loss,
    mel_filters,
)
from models.media import SAMPLE_RATE

SMALL = Settings(("a", "b", " ", "字"), mels=40, width=16, blocks=4, heads=2, kernel=5)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network() -> Network:
    torch.manual_seed(0)
    return Network(SMALL).eval()


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def test_the_basis_is_a_windowed_fourier_transform() -> None:
    frame = np.random.default_rng(0).standard_normal(WINDOW)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    expected = np.fft.rfft(frame * window)
    cosines, sines = (dft_basis().squeeze(1).double().numpy() @ frame).reshape(2, -1)
    assert cosines == pytest.approx(expected.real, abs=1e-4)
    assert sines == pytest.approx(-expected.imag, abs=1e-4)


@pytest.mark.parametrize("hertz", [200, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_its_band(hertz: int) -> None:
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    features, frames = LogMel(40)(0.3 * torch.sin(2 * math.pi * hertz * time)[None], torch.tensor([SAMPLE_RATE]))
    edges = 700 * (10 ** (np.linspace(math.log10(1 + 20 / 700), math.log10(1 + 8000 / 700), 42)) - 1)
    loudest = int(features[0, int(frames[0]) // 2].argmax())
    assert edges[loudest] <= hertz <= edges[loudest + 2]


def test_every_mel_filter_hears_something() -> None:
    assert (mel_filters(80).sum(dim=1) > 0).all()


def test_shapes_and_probabilities() -> None:
    lengths = torch.tensor([SAMPLE_RATE, SAMPLE_RATE // 2])
    log_probs, frames, embedding = network()(noise(SAMPLE_RATE).expand(2, -1), lengths)
    assert log_probs.shape == (2, 25 + 2 * CONTEXT + 1, 5)
    assert frames.tolist() == [30, 17]
    assert embedding.shape == (2, 16)
    assert log_probs.exp().sum(dim=2).detach().numpy() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("samples", [1, 159, 640, 5000, 16000, 16001, 23456])
def test_padding_never_changes_an_answer(samples: int) -> None:
    net, clip = network(), noise(samples)
    alone, frames, embedding = net(clip, torch.tensor([samples]))
    padded = torch.cat([clip, noise(samples + 7777, seed=1)[:, samples:]], dim=1)  # not even with zeros
    longer = torch.cat([padded, noise(samples + 7777, seed=2)])
    together, both, embeddings = net(longer, torch.tensor([samples, samples + 7777]))
    assert both[0] == frames[0] == alone.shape[1]
    assert torch.allclose(together[:1, : alone.shape[1]], alone, atol=1e-5)
    assert torch.allclose(embeddings[:1], embedding, atol=1e-5)


def test_loudness_hardly_matters() -> None:
    net, clip, length = network(), noise(SAMPLE_RATE), torch.tensor([SAMPLE_RATE])
    assert torch.allclose(net(clip, length)[0], net(2 * clip, length)[0], atol=0.02)


def test_silence_is_finite() -> None:
    log_probs, _, embedding = network()(torch.zeros(1, 4000), torch.tensor([4000]))
    assert torch.isfinite(log_probs).all()
    assert torch.isfinite(embedding).all()


@pytest.mark.parametrize("samples", [1, SAMPLE_RATE, 30 * SAMPLE_RATE])
def test_silence_has_no_features_however_long(samples: int) -> None:
    features, _ = LogMel(80)(torch.zeros(1, samples), torch.tensor([samples]))
    assert not features.any()


def batch(texts: list[list[int]], samples: int = 8000) -> Batch:
    padded = torch.zeros(len(texts), max(1, *map(len, texts)), dtype=torch.int64)
    for row, text in zip(padded, texts, strict=True):
        row[: len(text)] = torch.tensor(text, dtype=torch.int64)
    return Batch(
        waveform=noise(samples).repeat(len(texts), 1),
        lengths=torch.full((len(texts),), samples),
        targets=padded,
        target_lengths=torch.tensor([len(text) for text in texts]),
    )


def test_loss_of_silence_is_that_of_blanks() -> None:
    net, silent = network(), batch([[], [1, 2]])
    log_probs, frames, _ = net(silent.waveform, silent.lengths)
    blanks = -log_probs[0, : int(frames[0]), 0].sum()
    one = batch([[]])
    assert float(loss(net, one).detach()) == pytest.approx(float(blanks), rel=0.01)  # the loss runs in half precision
    assert float(loss(net, silent).detach()) > 0


def test_a_text_too_long_for_its_clip_counts_nothing() -> None:
    assert float(loss(network(), batch([[1, 1] * 50], samples=400))) == 0.0


def test_two_views_have_to_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    net, clips = network(), batch([[1, 2], []])

    def of(twice: float, consistency: float) -> float:
        monkeypatch.setitem(asr_network.TWICE, "cpu", twice)
        monkeypatch.setattr(asr_network, "CONSISTENCY", consistency)
        torch.manual_seed(3)
        return float(loss(net, clips).detach())

    assert of(1.0, 0.2) == pytest.approx(of(0.0, 0.2), rel=1e-3)  # nothing is hidden: the views are the same
    net.train()
    assert of(1.0, 0.2) > of(1.0, 0.0) > 0


def test_a_batch_is_learned_at_its_tempo() -> None:
    net, clips = network(), batch([[1, 2], [2]])

    def at(tempo: float) -> float:
        return float(loss(net, replace(clips, tempo=torch.full((2,), tempo))).detach())

    assert at(1.0) == pytest.approx(float(loss(net, clips).detach()), rel=1e-3)
    assert at(0.5) > 1.5 * at(1.0)  # twice as many frames, of which an untrained network knows nothing


def test_masks_hide_something_while_training_only() -> None:
    net, clip, length = network(), noise(SAMPLE_RATE), torch.tensor([SAMPLE_RATE])
    assert torch.equal(net(clip, length)[0], net(clip, length)[0])
    features, frames = net.mel(clip, length)
    assert torch.equal(net.masking(features, frames), features)
    hidden = net.masking.train()(features, frames)
    assert 0 < int((hidden == 0).sum()) - int((features == 0).sum()) < features.numel() // 2


@pytest.mark.parametrize("wrong", [{"alphabet": ("ab",)}, {"alphabet": ("a", "a")}, {"width": 15}, {"kernel": 4}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Settings(**{"alphabet": ("a",), **wrong})  # type: ignore[arg-type]


def test_settings_survive_json() -> None:
    assert Settings(alphabet=["a", " "]) == Settings(("a", " "))  # type: ignore[arg-type]


def test_training_hears_what_serving_hears() -> None:
    mel, clips = LogMel(40), torch.cat([noise(5000), noise(5000, seed=1)])
    lengths = torch.tensor([5000, 3333])
    served, frames = mel.eval()(clips, lengths)
    trained, same = mel.train()(clips, lengths)
    assert torch.equal(frames, same)
    assert torch.allclose(trained, served, atol=1e-3)


def test_bands_move_by_their_clips_own_factor() -> None:
    ramp = torch.arange(40.0).expand(3, 5, 40)
    warped = BandWarp(0.15)(ramp)
    factors = warped[:, 0, 20] / 20
    assert len(factors.unique()) == 3
    assert ((factors > 0.85) & (factors < 1.15)).all()
    expected = (torch.arange(40) * factors[:, None]).clamp(max=39)
    assert torch.allclose(warped, expected[:, None].expand(3, 5, 40), atol=0.01)
    assert torch.allclose(BandWarp(0.0)(ramp), ramp, atol=0.01)


def test_disagreement_by_hand() -> None:
    """KL of (1/2, 1/2) and (1/4, 3/4) both ways, halved, over the frames that count."""
    one, other = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()
    first, second = one.expand(2, 3, 2), torch.stack([other, other, one]).expand(2, 3, 2)
    both = 0.5 * math.log(2) + 0.5 * math.log(2 / 3) + 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)
    apart = disagreement(first, second, torch.tensor([3, 1]))
    assert apart.tolist() == pytest.approx([both, both / 2])


def test_each_view_learns_from_the_other_as_it_is() -> None:
    first = torch.zeros(1, 2, 3, requires_grad=True)
    second = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]]).requires_grad_()
    apart = disagreement(first.log_softmax(2), second.log_softmax(2), torch.tensor([2])).sum()
    towards_second, towards_first = torch.autograd.grad(apart, (first, second))
    p, q = first.softmax(2), second.softmax(2)
    assert torch.allclose(towards_second, 0.5 * (p - q), atol=1e-6)
    assert torch.allclose(towards_first, 0.5 * (q - p), atol=1e-6)


def test_features_are_heard_at_another_tempo() -> None:
    steps = torch.arange(9.0).view(1, 9, 1).expand(3, 9, 2).contiguous()
    steps[2, 5:] = 99.0  # beyond the third clip
    features, lengths = at_tempo(steps, torch.tensor([9, 9, 5]), torch.tensor([2.0, 0.5, 1.0]))
    assert lengths.tolist() == [5, 17, 5]
    assert features[0, :5, 0].tolist() == [0, 2, 4, 6, 8]
    assert features[1, :, 1].tolist() == [place / 2 for place in range(17)]
    assert features[2, :5, 0].tolist() == [0, 1, 2, 3, 4]
