"""torchaudio's bundles as versions and as starts: the same answers as torchaudio gives, in ONNX too."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from models import tasks
from models.asr import wav2vec2
from models.asr.network import Batch
from models.asr.wav2vec2 import Network, Settings
from models.errors import InvalidInput, NotFound
from models.pretrained import import_checkpoint, start_from
from models.records import Item, Label, Transcript
from models.versions import CHECKPOINT
from serving.training import Material, Request, train_version
from tests.descent import losses
from tests.tones import sentence, sound

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CONFIG: dict[str, Any] = {  # the arguments of wav2vec2_model, but small
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": [(16, 10, 5), (16, 8, 8), (16, 8, 8)],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 16,
    "encoder_projection_dropout": 0.0,
    "encoder_pos_conv_kernel": 8,
    "encoder_pos_conv_groups": 4,
    "encoder_num_layers": 1,
    "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.0,
    "encoder_ff_interm_features": 32,
    "encoder_ff_interm_dropout": 0.0,
    "encoder_dropout": 0.0,
    "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.0,
}
LABELS = ("|", "A", "B")


def model(outputs: int | None) -> torch.nn.Module:
    torch.manual_seed(0)
    made: torch.nn.Module = torchaudio.models.wav2vec2_model(**CONFIG, aux_num_out=outputs)
    return made.eval()


@pytest.fixture(autouse=True)
def _bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small bundles in place of torchaudio's."""
    asr = SimpleNamespace(_params={**CONFIG, "aux_num_out": 4}, _labels=LABELS, _normalize_waveform=False)
    plain = SimpleNamespace(_params={**CONFIG, "aux_num_out": None}, _normalize_waveform=True)
    asr.get_model, plain.get_model = lambda: model(4), lambda: model(None)
    monkeypatch.setattr(wav2vec2, "bundles", lambda: {"SMALL_ASR": asr, "SMALL": plain})


def saved(path: Path, outputs: int | None) -> Path:
    torch.save(model(outputs).state_dict(), path)
    return path


def test_a_bundle_becomes_a_version(tmp_path: Path) -> None:
    """From a file as torchaudio's servers have it, with the outputs that nobody trained."""
    state = model(4).state_dict()
    for key in ("aux.weight", "aux.bias"):
        state[key] = torch.cat([state[key][:1], torch.full_like(state[key][:3], 7.0), state[key][1:]])
    torch.save(state, tmp_path / "it.pth")
    version = import_checkpoint(
        "asr", f"torchaudio:SMALL_ASR:{tmp_path / 'it.pth'}", {}, note="", versions_dir=tmp_path / "versions", now=NOW
    )
    assert version.settings["alphabet"] == [" ", "a", "b"]
    assert version.training["imported"] == "torchaudio:SMALL_ASR:it.pth"
    runtime: Any = tasks.load_runtime("asr", version.onnx, threads=1)
    clip = sound("ab", np.random.default_rng(0))
    log_probs, embedding = runtime.log_probs(clip)
    with torch.no_grad():
        expected, _ = model(4)(torch.from_numpy(clip)[None])
    expected = expected.log_softmax(dim=2)[0].numpy()
    assert np.abs(log_probs[: len(expected)] - expected).max() < 1e-4
    assert len(embedding) == 16
    assert isinstance(runtime.predict(clip).label, Transcript)


def test_a_network_that_writes_nothing_yet_learns_to(tmp_path: Path) -> None:
    pairs = clips(tmp_path)
    start = start_from("asr", f"torchaudio:SMALL:{saved(tmp_path / 'base.pt', None)}", tmp_path / "runs")
    version = train_version(
        Request("asr", data=(), epochs=1, batch_size=4),
        Material(pairs),
        start=start,
        runs_dir=tmp_path / "runs",
        versions_dir=tmp_path / "versions",
    )
    assert version.parent is None
    assert version.training["start"] == start.name
    assert version.training["learning_rate"] == wav2vec2.LEARNING_RATE
    assert set(version.settings["alphabet"]) == {" ", "a", "b", "c"}
    assert (version.folder / CHECKPOINT).is_file()
    tasks.load_runtime("asr", version.onnx, threads=1).predict(np.zeros(16000, np.float32))


def clips(folder: Path) -> list[tuple[Item, Label]]:
    rng = np.random.default_rng(0)
    pairs: list[tuple[Item, Label]] = []
    for number in range(6):
        text = "abc" if not number else sentence(rng, 2)
        path = folder / f"{number}.wav"
        soundfile.write(path, sound(text, rng), 16000)
        pairs.append((Item(path.name, str(path)), Transcript(text)))
    return pairs


def test_the_same_start_is_kept_once(tmp_path: Path) -> None:
    source = f"torchaudio:SMALL:{saved(tmp_path / 'base.pt', None)}"
    first, second = (start_from("asr", source, tmp_path / "runs") for _ in range(2))
    assert first == second
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert start_from("asr", "torchaudio:SMALL", tmp_path / "runs").settings["alphabet"] == ()


@pytest.mark.parametrize("normalise", [False, True])
def test_padding_changes_nothing_but_what_is_masked_does(normalise: bool) -> None:
    """In training mode without masks a clip in a batch answers as it does alone."""
    network = Network(Settings((" ", "a"), {**CONFIG, "extractor_mode": "layer_norm"}, normalise)).eval()
    clips = [torch.rand(1, 16000) - 0.5, torch.rand(1, 9000) - 0.5]
    batch = Batch(
        torch.cat([clips[0], torch.nn.functional.pad(clips[1], (0, 7000))]),
        torch.tensor([16000, 9000]),
        torch.tensor([[1], [2]]),
        torch.tensor([1, 1]),
    )
    with torch.no_grad():
        torch.manual_seed(0)
        together, frames = network.masked(batch)
        unmasked = pytest.MonkeyPatch()
        unmasked.setattr(wav2vec2, "_MASKED", 0.0)
        whole, _ = network.masked(batch)
        unmasked.undo()
        for row, clip in enumerate(clips):
            alone, _ = network(clip)
            assert torch.allclose(whole[row, : frames[row]], alone[0], atol=1e-4)
    assert not torch.allclose(together, whole, atol=1e-4)


def test_the_loss_falls_and_the_convolutions_stay() -> None:
    torch.manual_seed(0)
    network = Network(Settings((" ", "a", "b", "c"), CONFIG))
    rng = np.random.default_rng(0)
    made = [wav2vec2.Example(text, np.round(sound(text, rng) * 32767).astype(np.int16), text) for text in ("ab", "ca")]
    batch: Any = wav2vec2.collate(made, network.settings, rng)
    before = [parameter.clone() for parameter in network.model.feature_extractor.parameters()]
    fallen = losses(network, wav2vec2.loss, batch, 12, 5e-3)
    assert fallen[-1] < 0.8 * fallen[0]
    after = list(network.model.feature_extractor.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_known_symbols_keep_their_rows_and_new_ones_follow() -> None:
    old = Network(Settings((" ", "a"), CONFIG)).eval()
    settings = wav2vec2.settings_for([Transcript("Zebra!")], old.settings)
    assert settings.alphabet == (" ", "a", "b", "e", "r", "z")
    new = Network(settings).eval()
    wav2vec2.warm_start(new, old.state_dict(), old.settings)
    clip = torch.rand(1, 8000)
    with torch.no_grad():
        first, second = old(clip)[0], new(clip)[0]
    assert torch.allclose(first[..., 1] - first[..., 0], second[..., 1] - second[..., 0], atol=1e-5)
    with pytest.raises(InvalidInput, match="checkpoint: expected the weights of"):
        wav2vec2.warm_start(new, {"model.aux.weight": torch.zeros(3, 99)}, old.settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda file: wav2vec2.pretrained("BIG", None, {}), "torchaudio: expected one of SMALL_ASR, SMALL, got 'BIG'"),
        (
            lambda file: wav2vec2.pretrained("", file, {}),
            "it.pth: expected the name of its bundle, as in torchaudio:BUNDLE:it.pth, one of SMALL_ASR, SMALL, ",
        ),
        (
            lambda file: wav2vec2.pretrained("SMALL_ASR", saved(file, None), {}),
            "it.pth: expected the weights of torchaudio's SMALL_ASR, got",
        ),
        (
            lambda file: import_checkpoint(
                "asr", f"torchaudio:SMALL:{saved(file, None)}", {}, note="", versions_dir=file.parent, now=NOW
            ),
            "expected a recogniser, got a network that writes nothing yet",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, call: Callable[[Path], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        call(tmp_path / "it.pth")


def test_without_a_network_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OSError("<urlopen error no way there>")

    bundle = SimpleNamespace(_params=CONFIG, _labels=LABELS, _normalize_waveform=False, _path="a.pth", get_model=away)
    monkeypatch.setattr(wav2vec2, "bundles", lambda: {"AWAY": bundle})
    with pytest.raises(NotFound, match=r"torchaudio:AWAY: expected to download it, got .*no way there"):
        wav2vec2.pretrained("AWAY", None, {})


@pytest.mark.parametrize("whole", [False, True])
def test_half_a_file_of_a_broken_download_is_not_kept(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    file = tmp_path / "hub" / "checkpoints" / "a.pth"
    there = saved(tmp_path / "whole.pth", 4).read_bytes()
    file.write_bytes(there if whole else there[:5000])

    def broken() -> object:
        torch.load(file)
        raise RuntimeError("something else is wrong")

    bundle = SimpleNamespace(_params=CONFIG, _labels=LABELS, _normalize_waveform=False, _path="a.pth", get_model=broken)
    monkeypatch.setattr(wav2vec2, "bundles", lambda: {"HALF": bundle})
    why = "something else is wrong" if whole else "a file that cannot be read; the same command fetches"
    with pytest.raises(NotFound, match=f"torchaudio:HALF: .*, got {why}"):
        wav2vec2.pretrained("HALF", None, {})
    assert file.exists() == whole


def test_torchaudio_has_the_bundles_that_are_named() -> None:
    """As torchaudio itself names and describes them."""
    known = BUNDLES()
    assert {"WAV2VEC2_BASE", "WAV2VEC2_ASR_BASE_960H", "HUBERT_ASR_LARGE"} <= set(known)
    assert not any(name.startswith("WAVLM") for name in known)
    assert {"HUBERT_XLARGE", "HUBERT_ASR_XLARGE", "WAV2VEC2_XLSR_1B", "WAV2VEC2_XLSR_2B"}.isdisjoint(known)
    for bundle in known.values():
        with torch.device("meta"):
            parts = torchaudio.models.wav2vec2_model(**bundle._params).parameters()
            assert sum(part.nbytes for part in parts) < 2**31  # what one ONNX file holds
        assert {*bundle._params} - {"aux_num_out"} == set(CONFIG)
    assert known["WAV2VEC2_ASR_BASE_960H"].get_labels()[1:4] == ("|", "E", "T")


BUNDLES = wav2vec2.bundles
