"""Boxes of a video's frames as Label Studio's ``videorectangle`` regions, and back.

A region is one object: key frames, between which the rectangle moves evenly, and after one that is not ``enabled`` it
is gone until the next. Frames count from 1 at the rate of the configuration; frame f is what is seen (f - 1) / rate
seconds after the first picture. So it is in the editor of Label Studio 1.23.2 (its region model and ``goToFrame``).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.detection.overlap import pairwise_iou
from models.errors import InvalidInput
from models.records import Box, Boxes
from serving.following import tracks_of
from serving.label_studio.config import View
from serving.label_studio.regions import BROKEN, Region, boxes_of, broken, note_of, rectangle
from serving.sizes import Size
from serving.store.records import Answer
from serving.store.studio import Film

PATIENCE = 5  # stills on which an object may be unseen and still be the same
KEPT_IOU = 0.9  # of a box and the rectangle that Label Studio draws there without a key frame
_SIDES = ("x", "y", "width", "height")


def regions_of_video(film: Film, answers: Mapping[int, Answer], shown: View) -> list[Region]:
    """The objects of a video, each with the note of its most doubtful still; the answers by the stills' numbers."""
    labels = {number: answer.preannotation.label for number, answer in answers.items()}
    boxes = {number: label for number, label in labels.items() if isinstance(label, Boxes)}
    drawn = []
    for place, track in enumerate(tracks_of([(number, one.boxes) for number, one in boxes.items()], PATIENCE)):
        name = shown.names.to_label.get(next(iter(track.values())).category)
        if name is None:
            continue  # the project does not ask for it
        worst = max(track, key=lambda number: answers[number].preannotation.uncertainty.score)
        size = boxes[worst].width, boxes[worst].height
        value = {"framesCount": film.frames, "duration": film.duration_s, "labels": [name],
                 "sequence": _sequence(track, size, max(answers), film.frames_per_s)}  # fmt: skip
        sure = float(np.mean([box.confidence for box in track.values()]))
        note = f"frame {worst}: {note_of(answers[worst])}"
        drawn.append({"id": f"track-{place}", "from_name": shown.control.from_name, "to_name": shown.control.to_name,
                      "type": "videorectangle", "score": round(sure, 4), "value": value,
                      "meta": {"text": [note]}})  # fmt: skip
    return drawn


def boxes_at(result: Sequence[Mapping[str, Any]], shown: View, number: int, size: Size) -> Boxes:
    """What a person's regions say of the frame with this number.

    Raises:
        InvalidInput: a region is not as Label Studio writes it, or has a label unknown to the project.
    """
    try:
        there = []
        for region, name in _labelled(result, shown):
            shape = _shape(region["value"]["sequence"], number)
            if shape is not None:
                there.append({"value": {**shape, "rectanglelabels": [name]}})
        return boxes_of(there, shown, size)
    except InvalidInput:  # ours, and a ValueError
        raise
    except BROKEN as error:
        raise broken("VideoRectangle", error) from error


def _labelled(result: Sequence[Mapping[str, Any]], shown: View) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each region with its label, which stands in it, or in a result of the same id that the labels' control made."""
    labels: dict[str, list[str]] = defaultdict(list)
    for one in result:
        if one.get("from_name") in (shown.control.from_name, shown.control.labels_name):
            labels[one["id"]] += [name for name in one["value"].get("labels") or () if name not in labels[one["id"]]]
    for one in result:
        if one.get("from_name") == shown.control.from_name and labels[one["id"]]:
            (name,) = labels[one["id"]]
            yield one, name


def _sequence(track: Mapping[int, Box], size: Size, last: int, frames_per_s: float) -> list[dict[str, Any]]:
    """Key frames; the last one ends the object, unless nobody looked at a later still."""
    numbers = sorted(track)
    return [
        {"frame": number, "enabled": number != numbers[-1] or number == last, "time": number / frames_per_s,
         **rectangle(track[number], size)}
        for number in _keys(numbers, track)
    ]  # fmt: skip


def _keys(numbers: Sequence[int], track: Mapping[int, Box]) -> list[int]:
    """The fewest of some frames by halving where it is worst, between which an even movement is near the others."""
    first, last = numbers[0], numbers[-1]
    inner = np.array(numbers[1:-1])
    if not inner.size:
        return sorted({first, last})
    share = ((inner - first) / (last - first))[:, None]
    even = np.array(track[first].xyxy) * (1 - share) + np.array(track[last].xyxy) * share  # (inner, 4)
    iou = np.diag(pairwise_iou(even, np.array([track[number].xyxy for number in numbers[1:-1]])))
    worst = int(np.argmin(iou)) + 1
    if iou[worst - 1] >= KEPT_IOU:
        return [first, last]
    return [*_keys(numbers[: worst + 1], track)[:-1], *_keys(numbers[worst:], track)]


def _shape(sequence: Sequence[Mapping[str, Any]], number: int) -> dict[str, float] | None:
    """The rectangle of a region on a frame, as the editor draws it; None where it draws none."""
    keys = sorted(sequence, key=lambda key: int(key["frame"]))
    before = [key for key in keys if int(key["frame"]) <= number]
    after = next((key for key in keys if int(key["frame"]) > number), None)
    if not before:
        return None
    here = before[-1]
    if int(here["frame"]) != number and not here.get("enabled", True):
        return None
    share = 0.0 if after is None else (number - int(here["frame"])) / (int(after["frame"]) - int(here["frame"]))
    there = after or here
    turn = (float(there.get("rotation") or 0) - float(here.get("rotation") or 0) + 180) % 360 - 180
    sides = {side: float(here[side]) + share * (float(there[side]) - float(here[side])) for side in _SIDES}
    return {**sides, "rotation": float(here.get("rotation") or 0) + share * turn}
