"""What a project's labelling configuration says: where the medium is, how people label it, what labels are called.

Understood are RectangleLabels on an Image and, with Labels, VideoRectangle on a Video for detection; VectorLabels or
KeyPointLabels on an Image for lanes, the latter with one label a lane from left to right; TextArea on Audio for speech,
for the whole file or, with ``perRegion="true"``, for each region of a Labels control. Every other control is the
project's own, also within a Repeater.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, TypeAlias
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from models.errors import InvalidInput
from models.records import Task
from serving.label_names import LANE, Names, category_names, lane_names
from serving.label_studio.visibility import Condition, around, attribute, conditions_of, is_per_region

Kind: TypeAlias = Literal["RectangleLabels", "VideoRectangle", "VectorLabels", "KeyPointLabels", "TextArea", "Segments"]

SETTING = "PRELABEL_LABEL_STUDIO_LABELS"
_CONTROLS: dict[Task, dict[Kind, str]] = {  # and what each is on
    "detection": {"RectangleLabels": "Image", "VideoRectangle": "Video"},
    "lane": {"VectorLabels": "Image", "KeyPointLabels": "Image"},
    "asr": {"TextArea": "Audio"},
}
INDEX = "{{idx}}"  # in names within a Repeater
_FRAMERATE = "24"  # a second, where a Video says nothing


@dataclass(frozen=True)
class Control:
    """With what people label: its tag, its name, the name of its medium, and the medium's key in a task's data.

    ``labels`` are those to choose from; for ``Segments`` and ``VideoRectangle`` they are those of the control
    ``labels_name``. ``framerate`` is that of a video: a number, or ``$KEY`` of a task's data. It is shown when all of
    ``conditions`` hold.
    """

    kind: Kind
    from_name: str
    to_name: str
    key: str
    labels: tuple[str, ...] = ()
    labels_name: str = ""
    framerate: str = _FRAMERATE
    conditions: tuple[Condition, ...] = ()

    @property
    def is_video(self) -> bool:
        """Whether people label a video."""
        return self.kind == "VideoRectangle"

    def is_hidden(self, result: Sequence[Mapping[str, Any]]) -> bool:
        """Whether whoever made an annotation with these regions did not see it, and so said nothing with it: what the
        model drew is saved all the same."""
        return not all(one.holds(result) for one in self.conditions)

    def frames_per_s(self, data: Mapping[str, Any]) -> float:
        """How many frames a second Label Studio counts in the video of a task, whatever the video's own rate.

        Raises:
            InvalidInput: the configuration or the task's data say no such number.
        """
        told = data.get(self.framerate[1:]) if self.framerate.startswith("$") else self.framerate
        try:
            rate = float(str(told))
        except ValueError:
            rate = 0.0
        if not 0 < rate < math.inf:
            raise InvalidInput(f"label_config: expected a framerate above 0, got {self.framerate}={told!r}")
        return rate if rate >= 1 else 1 / rate  # Label Studio takes what is below 1 for the seconds of a frame


@dataclass(frozen=True)
class View:
    """A project as a model sees it, and the names of everything that people label with there; ``{{idx}}`` in a name is
    any number, as in a Repeater."""

    control: Control
    names: Names
    controls: frozenset[str]

    def has(self, name: str) -> bool:
        """Whether people label with a control of that name."""
        return any(re.fullmatch(re.escape(one).replace(re.escape(INDEX), r"\d+"), name) for one in self.controls)


def view(label_config: str, task: Task, categories: Sequence[str], aliases: Mapping[str, str]) -> View:
    """The project with this configuration, for a model that knows these categories.

    Raises:
        InvalidInput: the configuration is none for the task, or a label of it is none of the model's, or labels of the
            model stand in several controls.
    """
    control, tags = control_of(label_config, task), list(_parsed(label_config).iter())
    known = {*categories, *aliases, *((LANE,) if task == "lane" else ())}
    for tag in tags:
        elsewhere = known.intersection(_labels(tag)) if tag.tag in _CONTROLS[task] else ()
        if elsewhere and tag.get("toName") == control.to_name and tag.get("name") != control.from_name:
            raise InvalidInput(
                f"label_config: expected the labels of the model in one control, {control.from_name}, "
                f"got {', '.join(sorted(elsewhere))} in {tag.get('name')}"
            )
    flags = {attribute(tag, "indexFlag") or INDEX for tag in tags if tag.tag == "Repeater"}
    named = [tag.get("name", "") for tag in tags if tag.get("toName") or tag.tag == "Chat"]
    controls = frozenset(reduce(lambda name, flag: name.replace(flag, INDEX), flags, name) for name in named)
    return View(control, names_of(control, categories, aliases), controls)


def control_of(label_config: str, task: Task) -> Control:
    """The first control of a configuration that serves the task.

    Raises:
        InvalidInput: there is none, or the configuration is no XML.
    """
    root = _parsed(label_config)
    tags = list(root.iter())
    media = {(tag.get("name", ""), tag.tag): tag for tag in tags}
    repeated = list[str]()
    for tag in tags:
        on = next((on for kind, on in _CONTROLS[task].items() if kind == tag.tag), None)
        medium = media.get((tag.get("toName", ""), on)) if on else None
        if medium is None:
            continue
        if not any(one.tag == "Repeater" for one in around(tag, root)):
            return replace(_control(tag, medium, tags), conditions=conditions_of(tag, root))
        repeated.append(f"{tag.tag} {tag.get('name')!r}")
    if repeated:
        raise InvalidInput(f"label_config: expected one medium a task, got {repeated[0]} in a Repeater, of many")
    found = ", ".join(sorted({tag.tag for tag in tags if tag.get("name")})) or "nothing with a name"
    wanted = " or ".join(f"{kind} on {on}" for kind, on in _CONTROLS[task].items())
    raise InvalidInput(f"label_config: expected {wanted} for task {task}, got {found}")


def names_of(control: Control, categories: Sequence[str], aliases: Mapping[str, str]) -> Names:
    """Which label means which category; KeyPointLabels number the lanes. Categories that no label names are not shown.

    Raises:
        InvalidInput: a label means none of the categories, and no alias says otherwise.
    """
    match control.kind:
        case "RectangleLabels" | "VideoRectangle":
            return category_names(control.labels, categories, aliases, "label_config", SETTING)
        case "VectorLabels":
            return lane_names(control.labels, aliases, "label_config", SETTING)
        case _:
            return Names({}, {})


def data_keys(label_config: str) -> frozenset[str]:
    """The keys of a task's data that a configuration shows or goes by.

    Raises:
        InvalidInput: it is no XML.
    """
    values = (value for tag in _parsed(label_config).iter() for value in tag.attrib.values())
    return frozenset(value[1:] for value in values if value.startswith("$"))


def _parsed(label_config: str) -> Element:
    if "<!" in label_config.replace("<!--", ""):
        raise InvalidInput("label_config: expected XML without declarations, got one")
    try:
        return ElementTree.fromstring(label_config)
    except ElementTree.ParseError as error:
        raise InvalidInput(f"label_config: expected XML, got {error}") from error


def _control(tag: Element, medium: Element, tags: Iterable[Element]) -> Control:
    to_name, value = tag.get("toName", ""), medium.get("value", "")
    if not value.startswith("$") or not value[1:]:
        raise InvalidInput(f'label_config: expected <{medium.tag} value="$KEY">, got value={value!r}')
    name = tag.get("name", "")
    if tag.tag == "VideoRectangle":
        rate = medium.get("framerate") or medium.get("frameRate") or _FRAMERATE
        control = Control("VideoRectangle", name, to_name, value[1:], *_labels_beside(tag, tags), rate)
        if not rate.startswith("$"):
            control.frames_per_s({})  # refuses what is no such number
        return control
    if tag.tag != "TextArea":
        kind: Kind = tag.tag  # type: ignore[assignment]  # one of _CONTROLS
        labels = _labels(tag)
        if not labels:
            raise InvalidInput(f"label_config: expected labels in {tag.tag} {name!r}, got none")
        if kind != "VectorLabels":
            _require_single(tag)
        return Control(kind, name, to_name, value[1:], labels)
    if not is_per_region(tag):
        return Control("TextArea", name, to_name, value[1:])
    return Control("Segments", name, to_name, value[1:], *_labels_beside(tag, tags))


def _require_single(tag: Element) -> None:
    if attribute(tag, "choice") == "multiple":
        raise InvalidInput(f"label_config: expected one label a region, got choice=\"multiple\" of {tag.tag} "
                           f"{tag.get('name')!r}")  # fmt: skip


def _labels_beside(tag: Element, tags: Iterable[Element]) -> tuple[tuple[str, ...], str]:
    """The labels of the control that labels the same medium's regions, and its name."""
    on = tag.get("toName")
    beside = [other for other in tags if other.tag == "Labels" and other.get("toName") == on and _labels(other)]
    if not beside:
        raise InvalidInput(f"label_config: expected Labels on {on!r} for {tag.tag} {tag.get('name')!r}, got none")
    if tag.tag == "VideoRectangle":
        _require_single(beside[0])
    return _labels(beside[0]), beside[0].get("name", "")


def _labels(tag: Element) -> tuple[str, ...]:
    """As they stand in results: Label Studio writes a label's alias where it has one."""
    found = [label.get("alias") or label.get("value") or "" for label in tag.iter("Label")]
    return tuple(label for label in found if label)
