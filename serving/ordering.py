"""In which order a strategy hands out the queue, whose turn it is, and which frames are too near."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from models.records import Boxes, Item, Label, Lanes, Seconds, Transcript
from selection.queueing import StrategyName
from selection.strategies import (
    Indices,
    Strategy,
    badge,
    balanced,
    cluster_margin,
    k_center,
    per_second,
    random,
    spaced,
    typiclust,
    uncertainty,
    within_seconds,
)
from serving.settings import Settings
from serving.store.order import Order, Waiting

WINDOW = 512  # items among which a strategy chooses: the most doubtful ones, or for a cold start any
LEAST_S = 1.0  # nothing takes a person less


def order_of(settings: Settings, name: StrategyName, limit: int, seconds: Seconds | None = None) -> Order:
    """The order by a strategy for ``limit`` places.

    Plainly at random or by doubt, items are ranked in the store already; all else chooses from a window of them, as
    does who has only so many ``seconds``.
    """
    by: Literal["priority", "draw"] = "draw" if name in ("random", "typiclust") else "priority"
    plain = name in ("random", "uncertainty") and settings.balance == "none" and settings.frames_apart == 1
    if plain and seconds is None:
        return Order(by)

    def choose(waiting: Waiting, budget: int) -> Sequence[int]:
        picks: list[int] = picked(settings, name, waiting, budget, seconds).tolist()
        return picks

    return Order(by, max(WINDOW, limit), choose, settings.balance == "class", seconds=seconds)


def picked(
    settings: Settings, name: StrategyName, waiting: Waiting, budget: int, seconds: Seconds | None = None
) -> Indices:
    """What a strategy chooses of the items that wait, knowing what people already have where that can be used.

    Where somebody has only so many ``seconds``, what fits into them together, by what each second is worth.
    """
    worth, strategy = waiting.p_error, _strategy(name, waiting)
    if name == "per-second" and seconds is None:
        worth = per_second(worth, np.maximum(waiting.seconds, LEAST_S))
    if settings.balance != "none":
        by_class = settings.balance == "class"
        turn = (lambda item: _class(waiting.labels[item.id])) if by_class else (lambda item: item.group)
        strategy = balanced(strategy, [*map(turn, waiting.items)], Counter(map(turn, waiting.had)))
    if settings.frames_apart > 1 and waiting.task != "asr":
        frames = [_frame(item) for item in waiting.items]
        clips, numbers = [clip for clip, _ in frames], [number for _, number in frames]
        strategy = spaced(strategy, clips, numbers, settings.frames_apart, map(_frame, waiting.had))
    rng = np.random.default_rng(settings.seed)
    if seconds is None:
        return strategy(worth, waiting.embeddings, budget, rng)
    costs = np.maximum(waiting.seconds, LEAST_S)
    return within_seconds(strategy, worth, waiting.embeddings, costs, seconds, rng)[:budget]


def _strategy(strategy: StrategyName, waiting: Waiting) -> Strategy:
    match strategy:
        case "random":
            return random
        case "uncertainty" | "per-second":
            return uncertainty
        case "k-center":
            return partial(k_center, known=waiting.known)
        case "badge":
            return badge
        case "typiclust":
            return partial(typiclust, known=waiting.known)
        case "cluster-margin":
            return cluster_margin


def _class(label: Label) -> str | None:
    """What an answer is mostly about: its words, the category of its least certain box, or how many lanes it has."""
    match label:
        case Transcript(text):
            return text
        case Boxes(boxes=boxes):
            return min(boxes, key=lambda box: box.confidence).category if boxes else None
        case Lanes(lanes=lanes):
            return str(len(lanes))


def _frame(item: Item) -> tuple[str | None, float]:
    """The clip that an image belongs to, and its number there: as its uri ends, or the last one in its file's name."""
    found = re.search(r"(?<=\bframe=)\d{1,15}$", item.uri)
    found = found or re.search(r"\d{1,15}(?=\D*$)", PurePosixPath(urlsplit(item.uri).path).stem)
    return (item.group, float(found.group())) if found else (None, 0.0)
