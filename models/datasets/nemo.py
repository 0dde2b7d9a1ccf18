"""NeMo-style speech manifests: one JSON object a line. Source: NVIDIA NeMo user guide, "ASR datasets"."""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from models.datasets.layout import (
    below,
    broken,
    chosen_split,
    existing,
    json_lines,
    split_file,
    splits_in,
    stretch_uri,
    text_field,
)
from models.datasets.output import SPLIT, file_name, new_folder, place
from models.errors import UnreadableMedia
from models.recordings import Stretch, duration_s, recording
from models.records import LARGEST, Item, Seconds, Transcript

_LANGUAGE = ("lang", "language", "source_lang")  # by which manifests tell what is spoken; the first is what is written
_ROUNDED: Seconds = 0.25  # manifests round, and MP3 has up to so much silence around what was encoded
_WHOLE: Seconds = 0.999  # is cut off from durations in whole seconds


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Transcript]]:
    """Every clip of a manifest, or of ``SPLIT.jsonl`` in a folder, where there is none ``SPLIT.json``, as NeMo's own
    scripts call it, with its ``text``; the group is its ``speaker``, the language its ``lang``, ``language`` or
    ``source_lang``.

    ``audio_filepath`` is relative to the manifest, or absolute. An empty ``text`` means that nothing is said. With an
    ``offset``, or a ``duration`` that ends well before the sound does, an item is that stretch of the file; one without
    a speaker is in the group of its file. From the beginning on, whole seconds are all of a file that ends within the
    next one.

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
    """
    if root.is_file():
        chosen_split(root, [root.stem], split, root.name)
        return _read(root.parent, root)
    suffix = ".jsonl" if splits_in(root, "", ".jsonl") else ".json"
    file, _ = split_file(root, "", split, suffix)
    return _read(root, file)


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Transcript]]:
    for where, values in json_lines(file):
        clip = existing(where, root / text_field(where, values, "audio_filepath"))
        text = text_field(where, values, "text").strip()
        uri = _uri(where, clip, values)
        item_id = below(root, clip) + uri.removeprefix(str(clip))
        group = _speaker(where, values.get("speaker")) or (None if uri == str(clip) else below(root, clip))
        yield Item(item_id, uri, group, _language(where, values)), Transcript(text)


def _uri(where: str, clip: Path, values: dict[str, Any]) -> str:
    """Of the clip, or of the stretch of it that ``offset`` and ``duration`` name."""
    offset, duration = values.get("offset"), values.get("duration")
    start = 0 if offset is None else offset
    if type(start) not in (int, float) or not 0 <= start <= LARGEST:
        broken(where, "an offset in seconds >= 0", start)
    if duration is not None and (type(duration) not in (int, float) or not 0 < duration <= LARGEST):
        broken(where, "a duration in seconds > 0", duration)
    if duration is None:
        return stretch_uri(where, Stretch(clip, start), 0) if start else str(clip)
    named = stretch_uri(where, Stretch(clip, start, start + duration), _ROUNDED if start else math.inf)
    if start:
        return named
    rounded = _WHOLE if float(duration).is_integer() else _ROUNDED
    with suppress(UnreadableMedia):  # which is for whoever listens to it
        if recording(clip).duration_s > duration + rounded:
            return named
    return str(clip)


def _speaker(where: str, told: object) -> str | None:
    if told is not None and type(told) not in (str, int):
        broken(where, "a string or a number under 'speaker'", told)
    return None if told is None else str(told)


def _language(where: str, values: dict[str, Any]) -> str | None:
    told = {text_field(where, values, name) for name in _LANGUAGE if values.get(name)}
    if len(told) > 1:
        broken(where, f"one language under {', '.join(_LANGUAGE)}", " and ".join(sorted(told)))
    return told.pop() if told else None


def write(root: Path, pairs: Iterable[tuple[Item, Transcript]]) -> None:
    """Writes ``train.jsonl`` and ``audio/``; the speaker is the item's group, ``lang`` its language.

    Raises:
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
        UnreadableMedia: a sound whose length cannot be told.
    """
    with new_folder(root) as out, (out / f"{SPLIT}.jsonl").open("w", encoding="utf-8") as lines:
        for item, label in pairs:
            sound = place(item, out / "audio", file_name(item))
            values = {"audio_filepath": f"audio/{sound.name}", "duration": round(duration_s(str(sound)), 4)}
            known = {name: told for name, told in (("speaker", item.group), (_LANGUAGE[0], item.language)) if told}
            lines.write(json.dumps({**values, "text": label.text, **known}, ensure_ascii=False) + "\n")
