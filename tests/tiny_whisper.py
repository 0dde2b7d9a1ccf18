"""A model of Whisper small enough for tests, in the layout of CTranslate2: it hears nothing and says what it is told.

All layers but the last pass on nothing but the place of a token. So the row of the output matrix that a place looks up
says which token comes next, and how surely (Radford et al. 2022 for the tokens, ``ctranslate2.specs`` for the layout).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Floats: TypeAlias = NDArray[np.float32]

WIDTH = 64  # half of it is the most that can be said
MELS, FRAMES, TOKENS = 80, 1500, 448
HEARD = 5  # frames of a fiftieth of a second that one token takes
TIMES = 1501  # <|0.00|> to <|30.00|>, a fiftieth of a second apart
SPECIAL = ("endoftext", "startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech",
           "notimestamps")  # fmt: skip
NEVER = -20.0


def write_whisper(folder: Path, said: Sequence[tuple[str, float]]) -> Path:
    """Writes a model that says these pieces, each with a probability below 1, in one segment."""
    folder.mkdir(parents=True)
    tokens = _tokenizer([piece for piece, _ in said])
    tokens.save(str(folder / "tokenizer.json"))
    vocabulary = tokens.get_vocab()
    words = vocabulary["<|endoftext|>"]
    segment = [*(_spelt(piece) for piece, _ in said), "<|1.00|>"] if said else []
    logits = np.full((len(vocabulary), WIDTH // 2), NEVER, np.float32)
    for place, token in enumerate(["<|0.00|>", *segment, "<|endoftext|>"]):
        logits[vocabulary[token], place] = -NEVER
    for place, (piece, sure) in enumerate(said, start=1):
        logits[:words, place] = 0.0
        logits[vocabulary[_spelt(piece)], place] = math.log(sure * (words - 1) / (1 - sure))
    _spec(logits, sorted(vocabulary, key=lambda token: vocabulary[token])).save(str(folder))
    return folder


def _spelt(piece: str) -> str:
    """As a tokenizer of bytes writes it."""
    return piece.replace(" ", "Ġ")


def _tokenizer(pieces: Sequence[str]) -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    text = dict.fromkeys([*letters, *map(_spelt, pieces)])
    tokens = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(text)}, merges=[]))
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokens.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in SPECIAL])
    tokens.add_tokens([AddedToken(f"<|{number / 50:.2f}|>") for number in range(TIMES)])
    return tokens


def _spec(logits: Floats, vocabulary: list[str]) -> WhisperSpec:
    """One layer each, all zeros but where a token looks at the sound of its own place, for the times."""
    spec = WhisperSpec(num_encoder_layers=1, num_encoder_heads=1, num_decoder_layers=1, num_decoder_heads=1)
    encoder, decoder = spec.encoder, spec.decoder
    _fill(encoder.conv1, (WIDTH, MELS, 3))
    _fill(encoder.conv2, (WIDTH, WIDTH, 3))
    encoder.position_encodings.encodings = _places(np.arange(FRAMES) // HEARD)
    decoder.position_encodings.encodings = _places(np.arange(TOKENS))
    decoder.embeddings.weight = np.zeros((len(logits), WIDTH), np.float32)
    height = math.sqrt(WIDTH / 2)  # of a place when it is normed
    decoder.projection.weight = np.concatenate([logits, 0 * logits], axis=1) / np.float32(height)
    for part in (encoder, decoder):
        _norm(part.layer_norm)
        _attend(part.layer[0].self_attention, (3, 1))
        _norm(part.layer[0].ffn.layer_norm)
        _fill(part.layer[0].ffn.linear_0, (WIDTH, WIDTH))
        _fill(part.layer[0].ffn.linear_1, (WIDTH, WIDTH))
    crossing = decoder.layer[0].attention
    _attend(crossing, (1, 2, 1))
    crossing.linear[0].weight = crossing.linear[1].weight[:WIDTH] = np.eye(WIDTH, dtype=np.float32)
    spec.config.alignment_heads = [(0, 0)]
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.register_vocabulary(vocabulary)
    spec.validate()
    return spec


def _places(numbers: NDArray[np.int64]) -> Floats:
    """(n,) -> (n, width): a place is one number of the first half and its negative in the second."""
    half = np.equal.outer(numbers, np.arange(WIDTH // 2)).astype(np.float32)
    return np.concatenate([half, -half], axis=1)


def _attend(attention: Any, sizes: Sequence[int]) -> None:
    _norm(attention.layer_norm)
    for linear, size in zip(attention.linear, sizes, strict=True):
        _fill(linear, (size * WIDTH, WIDTH))


def _norm(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def _fill(layer: Any, shape: tuple[int, ...]) -> None:
    layer.weight, layer.bias = np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)
