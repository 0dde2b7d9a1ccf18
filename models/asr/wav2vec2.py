"""torchaudio's wav2vec 2.0 and HuBERT behind the verbs of this task: its pretrained bundles, recognising or not.

Fine-tuned as they were made to be (Baevski et al. 2020, section 4.2): the convolutions that read the waveform stay as
they are, stretches of their output are masked, and CTC trains the rest. Exported from waveform to log-probabilities.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from models.asr.declaration import Declaration, SoundInput
from models.asr.frames import BLANK
from models.asr.network import Batch, stretches
from models.asr.recipe import Example, batches, collate, parity_media, prepare
from models.asr.transcripts import normalise
from models.checkpoints import download, read_state
from models.declaring import plain
from models.errors import InvalidInput
from models.media import SAMPLE_RATE
from models.records import Label, Transcript

__all__ = [
    "BATCH_SIZE", "DECLARABLE", "EPOCHS", "INPUT_NAMES", "LEARNING_RATE", "OUTPUT_NAMES", "Batch", "Example",
    "Network", "Settings", "batches", "collate", "declared", "example_inputs", "loss", "parity_media", "prepare",
    "pretrained", "settings_for", "warm_start",
]  # fmt: skip


EPOCHS = 10
BATCH_SIZE = 8
LEARNING_RATE = 5e-5

INPUT_NAMES = ("waveform",)
OUTPUT_NAMES = ("log_probs", "embedding")

DECLARABLE = ()

_MASKS, _MASKED = 2, 0.1  # stretches of the features that are masked in training, each up to that share of a clip
_WIDEST = 1024  # of the next wider ones the weights take 3.8 GB; one ONNX file holds 2
_FAIRSEQ_EXTRA = (1, 2, 3)  # outputs that the original checkpoints have and nobody trained


@dataclass(frozen=True)
class Settings:
    """Which network it is and what it can write.

    ``config`` are the arguments of ``torchaudio.models.wav2vec2_model``, but for the number of outputs; ``normalise``
    brings each waveform to mean 0 and deviation 1.
    """

    alphabet: tuple[str, ...]
    config: Mapping[str, Any]
    normalise: bool = False
    architecture: str = "wav2vec2"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alphabet", tuple(self.alphabet))
        if any(len(symbol) != 1 for symbol in self.alphabet) or len(set(self.alphabet)) != len(self.alphabet):
            raise InvalidInput(f"alphabet: expected different single characters, got {self.alphabet}")


class Network(nn.Module):
    """A transformer over a waveform, with one output a symbol and one for the blank."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.model: Any = torchaudio.models.wav2vec2_model(**settings.config, aux_num_out=1 + len(settings.alphabet))
        self.model.feature_extractor.requires_grad_(False)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (batch, samples) of one length in [-1, 1] at 16 kHz.

        Returns:
            log_probs (batch, frames, 1 + symbols), the blank first; embedding (batch, width), the mean of the frames.
        """
        if self.settings.normalise:
            waveform = functional.layer_norm(waveform, waveform.shape[1:])
        features, _ = self.model.feature_extractor(waveform, None)
        hidden = self.model.encoder(features, None)
        return functional.log_softmax(self.model.aux(hidden).float(), dim=2), hidden.mean(dim=1).float()

    def masked(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of padded clips whose features are masked here and there, and how many frames count."""
        waveform = batch.waveform
        if self.settings.normalise:
            waveform = _normalised(waveform, batch.lengths)
        with torch.no_grad():
            features, frames = self.model.feature_extractor(waveform, batch.lengths)
        features = features * ~stretches(frames, features.shape[1], _MASKS, _MASKED)[..., None]
        hidden = self.model.encoder(features, frames)
        return functional.log_softmax(self.model.aux(hidden).float(), dim=2), frames


def loss(network: Network, batch: Batch) -> Tensor:
    """The mean CTC loss of the clips, each divided by its length in characters."""
    log_probs, frames = network.masked(batch)
    each = functional.ctc_loss(
        log_probs.transpose(0, 1), batch.targets, frames, batch.target_lengths,
        blank=BLANK, reduction="none", zero_infinity=True,
    )  # fmt: skip
    return (each / (batch.target_lengths + 1)).mean()


def settings_for(labels: Iterable[Label], start: Settings | None) -> Settings:
    """The settings of the start; what it could not write yet comes after what it could.

    Raises:
        InvalidInput: there is no start.
    """
    if start is None:
        raise InvalidInput("speech training: expected a checkpoint of torchaudio to start from, got none")
    texts = (normalise(label.text) for label in labels if isinstance(label, Transcript))
    known = start.alphabet or (" ",)
    return replace(start, alphabet=(*known, *sorted(set("".join(texts)).difference(known))))


def warm_start(network: Network, state: Mapping[str, Tensor], previous: Settings) -> None:
    """Loads a checkpoint that knew fewer symbols, or none; new ones keep their fresh rows.

    Raises:
        InvalidInput: the weights are of another network.
    """
    own = network.state_dict()
    for name, value in state.items():
        if name not in own or value.shape[1:] != own[name].shape[1:]:
            raise InvalidInput(f"checkpoint: expected the weights of {dict(previous.config)}, got {name} "
                               f"{tuple(value.shape)}")  # fmt: skip
        own[name][: len(value)] = value if value.ndim else value.reshape(())


def example_inputs(settings: Settings) -> tuple[tuple[Tensor, ...], dict[str, dict[int, Any]]]:
    """Inputs to trace the network with, and their dynamic axes."""
    batch, samples = torch.export.Dim("batch", max=1024), torch.export.Dim("samples", min=800, max=SAMPLE_RATE * 3600)
    return (torch.zeros(2, 2 * SAMPLE_RATE),), {"waveform": {0: batch, 1: samples}}


def declared(settings: Settings) -> dict[str, Any]:
    """How its ONNX file is read."""
    step = 1
    for _, _, stride in settings.config["extractor_conv_layer_config"]:
        step *= stride
    sound = SoundInput("waveform", "waveform")  # the network itself normalises
    vocabulary = ("<blk>", *settings.alphabet)
    return plain(Declaration(vocabulary, BLANK, sound, "log_probs", step / SAMPLE_RATE, embedding="embedding"))


def pretrained(name: str, file: Path | None, given: Mapping[str, Any]) -> tuple[Settings, dict[str, Tensor]]:
    """Settings and weights of one of torchaudio's bundles, from a file of it or from torchaudio's own download.

    A bundle that recognises nothing yet comes without an alphabet and is a start for training only.

    Raises:
        NotFound: no such file, or no way to download it.
        InvalidInput: no such bundle, or a file of another.
    """
    known = bundles()
    if file and not name:
        raise InvalidInput(f"{file}: expected the name of its bundle, as in torchaudio:BUNDLE:{file.name}, one of "
                           f"{', '.join(known)}, got none")  # fmt: skip
    if name not in known:
        raise InvalidInput(f"torchaudio: expected one of {', '.join(known)}, got {name!r}")
    bundle = known[name]
    config = {key: value for key, value in bundle._params.items() if key != "aux_num_out"}
    outputs = bundle._params.get("aux_num_out")
    alphabet = tuple(label.lower().replace("|", " ") for label in getattr(bundle, "_labels", ()))
    settings = Settings(alphabet, config, bool(bundle._normalize_waveform))
    if file is None:
        model = download(f"torchaudio:{name}", lambda: _fetched(bundle))
        return settings, _named(getattr(model, "model", model).state_dict())
    model = torchaudio.models.wav2vec2_model(**config, aux_num_out=outputs)
    state = read_state(file)
    extra = getattr(bundle, "_remove_aux_axis", _FAIRSEQ_EXTRA)
    for key in ("aux.weight", "aux.bias"):
        if outputs and key in state and len(state[key]) == outputs + len(extra):
            state[key] = torch.stack([row for i, row in enumerate(state[key]) if i not in extra])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:300]
        raise InvalidInput(f"{file}: expected the weights of torchaudio's {name}, got {told}") from error
    return settings, _named(model.state_dict())


def _fetched(bundle: Any) -> Any:
    """Its model; half a file is not kept, as torchaudio keeps what is left of a broken connection."""
    try:
        return bundle.get_model()
    except (OSError, RuntimeError):
        left = Path(torch.hub.get_dir()) / "checkpoints" / Path(bundle._path).name
        if not left.is_file():
            raise
        try:
            read_state(left)
        except InvalidInput as broken:
            left.unlink()
            raise ConnectionError("a file that cannot be read; the same command fetches it anew") from broken
        raise  # it is whole, and something else is wrong


def bundles() -> dict[str, Any]:
    """torchaudio's wav2vec 2.0 and HuBERT bundles by name, but for those that no ONNX file could hold."""
    pipelines = torchaudio.pipelines
    named = {name: getattr(pipelines, name) for name in dir(pipelines) if name.isupper()}
    kinds = (pipelines.Wav2Vec2Bundle, pipelines.Wav2Vec2ASRBundle)
    found = {name: one for name, one in named.items() if isinstance(one, kinds) and one._model_type == "Wav2Vec2"}
    return {name: one for name, one in found.items() if one._params["encoder_embed_dim"] <= _WIDEST}


def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"model.{name}": value.detach().contiguous() for name, value in state.items()}


def _normalised(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Each clip at mean 0 and deviation 1, its padding at 0."""
    heard = torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None]
    mean = (waveform * heard).sum(dim=1) / lengths
    centred = (waveform - mean[:, None]) * heard
    variance = centred.square().sum(dim=1) / lengths
    return centred / (variance + 1e-5).sqrt()[:, None]
