"""How a tool's labels and a model's categories are called by each other: the same name, or what an alias table says;
and what data sets name that a model does not know."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.errors import InvalidInput
from models.records import Boxes, Label, Task
from models.versions import read_version
from serving.loop import Loop

LANE = "lane"  # what a lane is called where several labels could mean it
MOST_TOLD = 9  # unknown names in one sentence


@dataclass(frozen=True)
class Names:
    """Of each label its category, and of each category the label that stands for it."""

    to_category: Mapping[str, str]
    to_label: Mapping[str, str]


def categories_of(loop: Loop, task: Task) -> tuple[str, ...]:
    """What the serving version can name; nothing where nothing serves."""
    serving = loop.versions.serving(task)
    return _named(serving.folder) if serving else ()


@lru_cache(maxsize=16)
def _named(folder: Path) -> tuple[str, ...]:
    """The categories of the version in a folder, which never change."""
    return categories_told(read_version(folder).settings)


def categories_told(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What a model names, by the settings or the declaration in its file; nothing where it names none."""
    return tuple(settings.get("categories", settings.get("classes", ())))


def names_unknown(labels: Iterable[Label], known: Collection[str]) -> str:
    """What boxes are called that a model knows no such thing of, as a sentence; empty where all is ``known``."""
    named = {box.category for label in labels if isinstance(label, Boxes) for box in label.boxes}
    unknown = sorted(named.difference(known))
    if not unknown:
        return ""
    more = f" and {len(unknown) - MOST_TOLD} more" if len(unknown) > MOST_TOLD else ""
    return (
        f"the model knows no {', '.join(unknown[:MOST_TOLD])}{more}, so boxes called so count as missed; "
        f"it knows {', '.join(sorted(known)) or 'nothing'}"
    )


def category_names(
    labels: Sequence[str], categories: Sequence[str], aliases: Mapping[str, str], where: str, setting: str
) -> Names:
    """Which label means which category. Categories that no label names have none.

    Raises:
        InvalidInput: a label means none of the categories, and no alias of the ``setting`` says otherwise.
    """
    unknown = [label for label in labels if label not in aliases and label not in categories]
    if unknown:
        raise InvalidInput(_refusal(unknown, labels, categories, where, setting))
    return _names(labels, aliases)


def lane_names(labels: Sequence[str], aliases: Mapping[str, str], where: str, setting: str) -> Names:
    """Which labels mean a lane: a single one, whatever it is called; of several the one called so, or by an alias.

    Other lines are people's own.

    Raises:
        InvalidInput: none of them does.
    """
    names = _names(labels, {labels[0]: LANE} | dict(aliases) if len(labels) == 1 else aliases)
    if LANE not in names.to_label:
        raise InvalidInput(_refusal(labels, labels, [LANE], where, setting))
    return names


def _names(labels: Sequence[str], aliases: Mapping[str, str]) -> Names:
    to_category = {label: aliases.get(label, label) for label in labels}
    return Names(to_category, {category: label for label, category in reversed(to_category.items())})


def _refusal(unknown: Sequence[str], labels: Sequence[str], known: Sequence[str], where: str, setting: str) -> str:
    expected = f"labels of the model, {', '.join(known)}, or aliases in {setting}"
    return f"{where}: expected {expected}, got {', '.join(unknown)} among {', '.join(labels)}"
