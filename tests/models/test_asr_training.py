"""The recogniser's recipe, and that it learns a small language."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.asr import recipe
from models.asr.decoding import greedy
from models.asr.network import Network
from models.asr.recipe import Example
from models.asr.spelling import learn
from models.errors import InvalidInput, UnreadableMedia
from models.media import SAMPLE_RATE
from models.records import Boxes, Item, Transcript
from tests.tones import SMALL, example, listener, sentence, sound


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_language_of_tones_is_learned() -> None:
    network, first, last = listener()
    assert last < first / 5
    source, right = rng(1), 0
    for _ in range(10):
        text = sentence(source, 3)
        clip = torch.from_numpy(sound(text, source))[None]
        log_probs, _, _ = network(clip, torch.tensor([clip.shape[1]]))
        tokens = greedy(log_probs[0].detach().numpy())
        right += "".join(SMALL.alphabet[token - 1] for token in tokens) == text
    assert right >= 8


def test_the_alphabet_comes_from_the_texts_and_old_symbols_keep_their_places() -> None:
    first = recipe.settings_for([Transcript("Ba, b!"), Transcript("")], None)
    assert first.alphabet == (" ", "a", "b")
    second = recipe.settings_for([Transcript("字 a"), Transcript("Ä")], replace(first, width=32))
    assert second.alphabet == (" ", "a", "b", "ä", "字")
    assert second.width == 32
    assert second.spelling == learn(["ba b", "", "字 a", "ä"])


def test_other_labels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected Transcript, got Boxes"):
        recipe.settings_for([Boxes(1, 1)], None)


def test_an_item_is_read_at_any_rate(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, 0.5 * np.sin(np.arange(8000) / 8), 8000)
    prepared = recipe.prepare(Item("1", str(path)), Transcript("Hi, THERE."))
    assert (prepared.id, prepared.text) == ("1", "hi there")
    assert prepared.samples.dtype == np.dtype(np.int16)
    assert prepared.size == pytest.approx(SAMPLE_RATE, abs=2)
    assert prepared.nbytes == 2 * prepared.size
    path.write_bytes(b"RIFF")
    with pytest.raises(UnreadableMedia, match=r"clip\.wav"):
        recipe.prepare(Item("1", str(path)), Transcript(""))


@given(st.lists(st.integers(1, 20 * SAMPLE_RATE), max_size=60), st.integers(1, 10), st.integers(0, 5))
def test_an_epoch_holds_every_clip_once_in_batches_of_bounded_length(sizes: list[int], most: int, seed: int) -> None:
    batches = recipe.batches(sizes, most, rng(seed))
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        padded = max(sizes[index] for index in batch) * len(batch)
        assert len(batch) <= most
        assert len(batch) == 1 or padded <= recipe.BATCH_S * SAMPLE_RATE
    assert batches == recipe.batches(sizes, most, rng(seed))


def test_larger_batches_hold_as_many_seconds_as_clips() -> None:
    sizes = [SAMPLE_RATE] * 200
    assert max(map(len, recipe.batches(sizes, 100, rng(0)))) == 100 > recipe.BATCH_S
    assert max(map(len, recipe.batches([4 * size for size in sizes], 100, rng(0)))) == 25


def test_epochs_differ() -> None:
    sizes = list(range(1000, 9000, 100))
    assert recipe.batches(sizes, 8, rng(0)) != recipe.batches(sizes, 8, rng(1))


def silence(samples: int) -> Example:
    return Example("silence", np.zeros(samples, np.int16), "")


def test_collating_is_decided_by_the_rng_alone() -> None:
    clips = [example("ab c", rng(1)), example("c", rng(2)), silence(3000), silence(1)]
    first, again, other = (recipe.collate(clips, SMALL, rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.waveform, again.waveform)
    assert first.lengths.tolist() != other.lengths.tolist()
    assert first.targets.tolist() == [[2, 3, 1, 4], [4, 0, 0, 0], [0] * 4, [0] * 4]
    assert first.target_lengths.tolist() == [4, 1, 0, 0]


def test_augmented_clips_are_sound_and_padding_is_silent() -> None:
    clips = [example("abc", rng(1)), silence(4000), silence(1), Example("loud", np.full(999, 32767, np.int16), "a")]
    for seed in range(20):
        batch = recipe.collate(clips, SMALL, rng(seed))
        assert batch.waveform.dtype == torch.float32
        assert torch.isfinite(batch.waveform).all()
        assert float(batch.waveform.abs().max()) <= 1
        for wave, length, clip in zip(batch.waveform, batch.lengths, clips, strict=True):
            assert (wave[int(length) :] == 0).all()
            assert 0 < int(length) <= clip.size / (1 - recipe.SPEED) + 1


def test_strong_variation_changes_the_tempo_and_the_usual_one_does_not() -> None:
    clips = [example(text, rng(1)) for text in ("ab c", "c ba", "")]
    assert recipe.collate(clips, SMALL, rng(3)).tempo is None
    batches = [recipe.collate(clips, SMALL, rng(seed), recipe.STRONG) for seed in (*range(20), 0)]
    assert torch.equal(batches[0].waveform, recipe.collate(clips, SMALL, rng(0)).waveform)
    tempos = [batch.tempo for batch in batches if batch.tempo is not None]
    assert torch.equal(tempos[0], tempos[-1])
    low, high = recipe.STRONG.tempo
    assert low <= float(torch.cat(tempos).min()) < 0.8
    assert 1.25 < float(torch.cat(tempos).max()) <= high


def test_trimming_leaves_the_sound_and_a_little_quiet() -> None:
    tone = np.sin(np.arange(8000) / 8).astype(np.float32)
    clip = np.concatenate([np.zeros(16000, np.float32), tone, np.zeros(24000, np.float32)])
    for seed in range(20):
        trimmed = recipe.trimmed(clip, rng(seed))
        least, most = (2 * quiet_s * SAMPLE_RATE for quiet_s in recipe.QUIET_S)
        assert least - 320 <= len(trimmed) - len(tone) <= most + 320
        assert np.abs(trimmed).sum() == pytest.approx(np.abs(tone).sum(), rel=1e-5)
    assert len(recipe.trimmed(np.zeros(5000, np.float32), rng())) == 5000


def test_another_microphone_changes_the_sound_but_not_its_loudness() -> None:
    clip = rng().normal(0, 0.1, 16000).astype(np.float32)
    for seed in range(20):
        heard = recipe.elsewhere(clip, rng(seed))
        assert len(heard) == len(clip)
        assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.1, rel=0.02)
        assert np.abs(heard - clip).mean() > 0.005


def test_new_symbols_leave_the_old_ones_as_they_were() -> None:
    trained, _, _ = listener()
    network = Network(replace(SMALL, alphabet=(*SMALL.alphabet, "d"))).eval()
    fresh = network.head.weight[-1].detach().clone()
    recipe.warm_start(network, dict(trained.state_dict()), SMALL)
    clip = torch.from_numpy(sound("ab", rng()))[None]
    length = torch.tensor([clip.shape[1]])
    before, after = trained(clip, length)[0], network(clip, length)[0]
    shared = torch.log_softmax(after[:, :, :-1], dim=2)
    assert torch.allclose(shared, before, atol=1e-5)
    assert torch.equal(network.head.weight[-1], fresh)


def test_a_start_of_another_size_or_alphabet_is_refused() -> None:
    trained, _, _ = listener()
    for settings in (replace(SMALL, width=48), replace(SMALL, alphabet=("a", " ", "b", "c"))):
        with pytest.raises(InvalidInput, match="warm start: expected the sizes"):
            recipe.warm_start(Network(settings), dict(trained.state_dict()), SMALL)
