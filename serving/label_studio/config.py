"""What a project's labelling configuration says: where the medium is, how people label it, what labels are called.

Understood are RectangleLabels on an Image for detection; VectorLabels or KeyPointLabels on an Image for lanes, the
latter with one label a lane from left to right; TextArea on Audio for speech, for the whole file or, with
``perRegion="true"``, for each region of a Labels control.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from models.errors import InvalidInput
from models.records import Task
from serving.label_names import Names, category_names, lane_names

Kind: TypeAlias = Literal["RectangleLabels", "VectorLabels", "KeyPointLabels", "TextArea", "Segments"]

SETTING = "PRELABEL_LABEL_STUDIO_LABELS"
_MEDIUM: dict[Task, str] = {"detection": "Image", "lane": "Image", "asr": "Audio"}
_CONTROLS: dict[Task, tuple[Kind, ...]] = {
    "detection": ("RectangleLabels",),
    "lane": ("VectorLabels", "KeyPointLabels"),
    "asr": ("TextArea",),
}


@dataclass(frozen=True)
class Control:
    """With what people label: its tag, its name, the name of its medium, and the medium's key in a task's data.

    ``labels`` are those to choose from; for ``Segments`` they are those of the control ``labels_name``.
    """

    kind: Kind
    from_name: str
    to_name: str
    key: str
    labels: tuple[str, ...] = ()
    labels_name: str = ""


@dataclass(frozen=True)
class View:
    """A project as a model sees it."""

    control: Control
    names: Names


def view(label_config: str, task: Task, categories: Sequence[str], aliases: Mapping[str, str]) -> View:
    """The project with this configuration, for a model that knows these categories.

    Raises:
        InvalidInput: the configuration is none for the task, or a label of it is none of the model's.
    """
    control = control_of(label_config, task)
    return View(control, names_of(control, categories, aliases))


def control_of(label_config: str, task: Task) -> Control:
    """The first control of a configuration that serves the task.

    Raises:
        InvalidInput: there is none, or the configuration is no XML.
    """
    tags = list(_parsed(label_config).iter())
    media = {tag.get("name", ""): tag for tag in tags if tag.tag == _MEDIUM[task]}
    for tag in tags:
        medium = media.get(tag.get("toName", ""))
        if tag.tag in _CONTROLS[task] and medium is not None:
            return _control(tag, medium, tags)
    found = ", ".join(sorted({tag.tag for tag in tags if tag.get("name")})) or "nothing with a name"
    wanted = f"{' or '.join(_CONTROLS[task])} on {_MEDIUM[task]}"
    raise InvalidInput(f"label_config: expected {wanted} for task {task}, got {found}")


def names_of(control: Control, categories: Sequence[str], aliases: Mapping[str, str]) -> Names:
    """Which label means which category; KeyPointLabels number the lanes. Categories that no label names are not shown.

    Raises:
        InvalidInput: a label means none of the categories, and no alias says otherwise.
    """
    match control.kind:
        case "RectangleLabels":
            return category_names(control.labels, categories, aliases, "label_config", SETTING)
        case "VectorLabels":
            return lane_names(control.labels, aliases, "label_config", SETTING)
        case _:
            return Names({}, {})


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
    if tag.tag != "TextArea":
        kind: Kind = tag.tag  # type: ignore[assignment]  # one of _CONTROLS
        labels = _labels(tag)
        if not labels:
            raise InvalidInput(f"label_config: expected labels in {tag.tag} {tag.get('name')!r}, got none")
        return Control(kind, tag.get("name", ""), to_name, value[1:], labels)
    if tag.get("perRegion", "").lower() != "true":
        return Control("TextArea", tag.get("name", ""), to_name, value[1:])
    segments = [other for other in tags if other.tag == "Labels" and other.get("toName") == to_name and _labels(other)]
    if not segments:
        raise InvalidInput(f"label_config: expected Labels on {to_name!r} for a TextArea per region, got none")
    labels, name = _labels(segments[0]), segments[0].get("name", "")
    return Control("Segments", tag.get("name", ""), to_name, value[1:], labels, name)


def _labels(tag: Element) -> tuple[str, ...]:
    """As they stand in results: Label Studio writes a label's alias where it has one."""
    found = [label.get("alias") or label.get("value") or "" for label in tag.iter("Label")]
    return tuple(label for label in found if label)
