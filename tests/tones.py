"""A language of tones, the least that a recogniser can learn: a letter is a pitch, a space is a pause."""

import functools

import numpy as np
import torch

from models.arrays import Floats
from models.asr import recipe
from models.asr.network import Network, Settings, loss
from models.asr.recipe import Example
from models.media import SAMPLE_RATE, Waveform

PITCHES = {"a": 400, "b": 900, "c": 2000}
SMALL = Settings((" ", "a", "b", "c"), mels=40, width=32, blocks=3, heads=2, kernel=9, dropout=0)


def sound(text: str, rng: np.random.Generator) -> Waveform:
    """The text as tones of about 0.12 s, in a little noise."""
    parts: list[Floats] = [np.zeros(1600)]
    for letter in text:
        time = np.arange(int(rng.uniform(0.10, 0.14) * SAMPLE_RATE)) / SAMPLE_RATE
        tone = 0.3 * np.sin(2 * np.pi * PITCHES.get(letter, 0) * time)
        parts += [tone, np.zeros(int(rng.uniform(0.05, 0.08) * SAMPLE_RATE))]
        if letter == " ":
            parts.append(np.zeros(2400))
    clip = np.concatenate([*parts, np.zeros(1600)])
    return (clip + 0.003 * rng.standard_normal(len(clip))).astype(np.float32)


def sentence(rng: np.random.Generator, words: int) -> str:
    """Random words of one to three letters."""
    return " ".join("".join(rng.choice(list(PITCHES), int(rng.integers(1, 4)))) for _ in range(words))


def example(text: str, rng: np.random.Generator) -> Example:
    """The text with its sound, ready to train on."""
    samples = np.round(sound(text, rng) * 32767).astype(np.int16)
    return Example(text, samples, text)


@functools.cache
def listener(steps: int = 160) -> tuple[Network, float, float]:
    """A network that has learned the language, and its loss at the first and at the last steps."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = Network(SMALL).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    losses = []
    for step in range(steps):
        texts = [sentence(rng, int(rng.integers(0, 4))) for _ in range(8)]
        batch = recipe.collate([example(text, rng) for text in texts], SMALL, rng)
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * min(1.0, step / 20, 2 * (1 - step / steps))
        value = loss(network, batch)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(value.item())
    return network.eval(), float(np.mean(losses[:10])), float(np.mean(losses[-10:]))
