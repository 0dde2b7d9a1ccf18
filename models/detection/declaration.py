"""What an imported detector is: how it wants its picture, what its outputs mean, what its classes are called.

Most of it stands in the file, or follows from the family it belongs to; ``declare`` puts that together with what the
user says, and refuses what contradicts the file.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnxruntime
from numpy.typing import NDArray

from models.declaring import build, merged, require_heeded, require_outputs
from models.detection.heads import NANODET_STRIDES, YOLOX_STRIDES, points
from models.errors import InvalidInput
from models.onnx_files import Graph, Port, graph_of, open_session, run
from models.picture_input import IMAGENET, NOISE, PictureInput, told_by
from models.records import STRICT, short

Head: TypeAlias = Literal["boxes", "yolo", "yolo-end2end", "rtdetr", "yolox", "nanodet", "detr", "labelled", "mmdet"]

ROLES: dict[Head, tuple[str, ...]] = {  # what each head reads
    "boxes": ("probabilities", "boxes"),
    "yolo": ("output",),
    "yolo-end2end": ("output",),
    "rtdetr": ("output",),
    "yolox": ("output",),
    "nanodet": ("output",),
    "detr": ("logits", "boxes"),
    "labelled": ("labels", "boxes", "scores"),
    "mmdet": ("labels", "dets"),
}
_HEADS_OF = {"decoded": ("yolox",), "activation": ("detr",), "strides": ("nanodet",)}  # other heads do not heed these
_NAMELESS = ("", "N/A", "__background__", "background")  # classes that are no category

_COCO_NUMBERS = 91  # of its categories, from 0 on, many of which are none
_CAFFE = {"mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395]}  # the same in BGR, of 0 to 255
_OPENCV = {"shrink": "plain"}  # what resizes the pictures of these families, in training, too
_HABITS: dict[Head, dict[str, Any]] = {  # how each family is usually exported
    "boxes": {},
    "yolo": {"input": {"resize": "letterbox", **_OPENCV}},
    "yolo-end2end": {"input": {"resize": "letterbox", **_OPENCV}, "most_overlap": 1.0},
    "rtdetr": {"input": {"resize": "stretch", **_OPENCV}, "most_overlap": 1.0},
    "yolox": {"input": {"resize": "corner", "colours": "BGR", "scale": 1.0, **_OPENCV}},
    "nanodet": {"input": {"resize": "stretch", "colours": "BGR", "scale": 1.0, **_OPENCV, **_CAFFE}},
    "detr": {"input": {"resize": "stretch"}, "most_overlap": 1.0},
    "labelled": {"input": {"resize": "stretch"}, "most_overlap": 1.0},
    "mmdet": {"input": {"resize": "corner", "colours": "BGR", "scale": 1.0, **_OPENCV, **_CAFFE}, "most_overlap": 1.0},
}


@dataclass(frozen=True)
class Declaration:
    """An imported detector.

    ``classes`` are in the order of its outputs; "N/A", "background" and the like are passed over. ``outputs`` names the
    output of each role of the head, and "embedding" or "side_std" where there is one. ``size_input`` is the input that
    wants the picture's width and height, if there is one. ``decoded`` says that YOLOX boxes are in pixels,
    ``activation`` what makes probabilities of DETR's logits, ``strides`` the grids of NanoDet. Boxes of one category
    that overlap by more than ``most_overlap`` are one object; 1 keeps them all.
    """

    head: Head
    classes: tuple[str, ...]
    input: PictureInput
    input_name: str
    outputs: Mapping[str, str]
    size_input: str | None = None
    decoded: bool = False
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    strides: tuple[int, ...] = field(default=NANODET_STRIDES)
    most_overlap: float = 0.6

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        named = self.categories
        if not named or len(set(named)) < len(named):
            raise InvalidInput(f"classes: expected different names, at least one, got {list(self.classes)}")
        require_outputs(self.outputs, ROLES[self.head], self.head)
        if not 0 < self.most_overlap <= 1:
            raise InvalidInput(f"most_overlap: expected a share in (0, 1], got {self.most_overlap}")

    @property
    def named(self) -> tuple[int, ...]:
        """The columns that are categories."""
        return categories_among(self.classes)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categories."""
        return tuple(self.classes[i] for i in self.named)


def categories_among(classes: Sequence[str]) -> tuple[int, ...]:
    """The places of the classes that are categories, and not the background or without a name."""
    return tuple(i for i, name in enumerate(classes) if name not in _NAMELESS)


def declare(onnx: Path, given: Mapping[str, Any]) -> Declaration:
    """The declaration of a model, from its file and from what its user says of it.

    Raises:
        InvalidInput: something is missing, or contradicts the file: what was expected, what was found.
    """
    session = open_session(onnx)
    declaration = complete(graph_of(session), given)
    if declaration.head == "nanodet":
        _require_all_classes(session, declaration)
    if declaration.head == "detr" and declaration.activation == "softmax" and "activation" not in given:
        _require_nothing(session, declaration)
    return declaration


def complete(graph: Graph, given: Mapping[str, Any]) -> Declaration:
    """The same of a graph.

    Raises:
        InvalidInput: as ``declare``.
    """
    told = merged(_told_by(graph), given)
    if "head" not in told:
        raise InvalidInput(f"head: expected one of {', '.join(ROLES)} to be declared for outputs "
                           f"{', '.join(map(str, graph.outputs))}, got none that the file tells")  # fmt: skip
    if str(told["head"]) not in ROLES:
        raise InvalidInput(f"head: expected one of {', '.join(ROLES)}, got {told['head']!r}")
    require_heeded(given, _HEADS_OF, told["head"])
    whole = merged(_HABITS[told["head"]], _outputs(graph, told), told)
    if "classes" not in whole:
        count = _classes_of(graph, whole)
        some = f"the names of its {count} classes" if count else "the names of its classes"
        raise InvalidInput(f"classes: expected {some} to be declared, got none: the file holds no names")
    if not isinstance(whole["classes"], (list, tuple)):
        raise InvalidInput(f"classes: expected a list of names, got {whole['classes']!r}")
    if _has_background(graph, whole):
        whole["classes"] = [*whole["classes"], "background"]
    if whole["head"] == "detr" and "activation" not in whole:  # one output more than classes is that for nothing
        softmax = _classes_of(graph, whole) == len(whole["classes"]) + 1
        whole["activation"] = "softmax" if softmax else "sigmoid"
    declaration = build(Declaration, whole)
    _check(graph, declaration)
    return declaration


def _check(graph: Graph, declaration: Declaration) -> None:
    """What the file fixes must be what is declared."""
    ports = {port.name: port for port in graph.inputs}
    wanted = [declaration.input_name, *([declaration.size_input] if declaration.size_input else [])]
    if set(ports) != set(wanted):
        raise InvalidInput(f"input_name, size_input: expected {', '.join(map(str, graph.inputs))}, got {wanted}")
    declaration.input.check(ports[declaration.input_name])
    for name in declaration.outputs.values():
        graph.output(name)
    count = _classes_of(graph, {"head": declaration.head, "outputs": declaration.outputs})
    extra = 1 if declaration.activation == "softmax" and declaration.head == "detr" else 0
    if count is not None and count - extra != len(declaration.classes):
        ports_told = ", ".join(str(graph.output(name)) for name in declaration.outputs.values())
        raise InvalidInput(f"classes: expected {count - extra}, as {ports_told} says, got {len(declaration.classes)}")


def _has_background(graph: Graph, told: Mapping[str, Any]) -> bool:
    """Whether it is RF-DETR, whose exports have a column more than classes, the last, which is none; but for its own
    weights of COCO, which have one for each of the numbers from 0 to 90 there."""
    if told["head"] != "detr" or told["outputs"].get("boxes") != "dets" or told.get("activation") != "sigmoid":
        return False
    columns = _classes_of(graph, told)
    return columns != _COCO_NUMBERS and columns == len(told["classes"]) + 1


def _require_all_classes(session: onnxruntime.InferenceSession, declaration: Declaration) -> None:
    """What follows the probabilities of NanoDet's classes in each row are no probabilities.

    Its shape is that of four classes less, too, with one more bin a side.

    Raises:
        InvalidInput: they are: there are more classes.
    """
    rows = _of_noise(session, declaration)[declaration.outputs["output"]]
    count = len(declaration.classes)
    following = rows[..., count : count + 4]
    if following.min(initial=1) >= 0 and following.max(initial=0) <= 1:
        output = graph_of(session).output(declaration.outputs["output"])
        raise InvalidInput(f"classes: expected a name for every probability in {output}, got {count} names, "
                           "and probabilities after those of these classes")  # fmt: skip


def _require_nothing(session: onnxruntime.InferenceSession, declaration: Declaration) -> None:
    """The column more than classes is the likeliest of most queries where there is nothing to see.

    Raises:
        InvalidInput: it is not: a class has no name.
    """
    name = declaration.outputs["logits"]
    likeliest = _of_noise(session, declaration)[name].argmax(axis=-1)
    if (likeliest == len(declaration.classes)).mean() <= 0.5:
        count, output = len(declaration.classes), graph_of(session).output(name)
        raise InvalidInput(f'classes: expected {count + 1}, as {output} says, or activation = "softmax" declared '
                           f"where the last of them is nothing, got {count}")  # fmt: skip


def _of_noise(session: onnxruntime.InferenceSession, declaration: Declaration) -> dict[str, NDArray[Any]]:
    pixels, _ = declaration.input.read(NOISE)
    return run(session, {declaration.input_name: pixels.astype(graph_of(session).inputs[0].dtype)})


def _told_by(graph: Graph) -> dict[str, Any]:
    """What the file itself says."""
    picture = graph.inputs[0]
    told = merged({"input_name": picture.name, "input": told_by(picture.shape)}, _ultralytics(graph.metadata))
    sizes = [port.name for port in graph.inputs[1:] if port.name in ("orig_target_sizes", "orig_size")]
    if sizes:
        told["size_input"] = sizes[0]
    head = _head(graph, told["input"])
    return merged(told, {"head": head} if head else {})


def _ultralytics(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What Ultralytics' exporter notes: ``names``, ``imgsz`` (height, width) and ``task``, as Python literals."""
    told: dict[str, Any] = {}
    if metadata.get("task", "detect") != "detect" and "stride" in metadata:
        raise InvalidInput(f"model: expected a detector, got one made for {metadata['task']!r}")
    try:
        names = ast.literal_eval(metadata["names"]) if "names" in metadata else None
        size = ast.literal_eval(metadata["imgsz"]) if "imgsz" in metadata else None
        if isinstance(names, dict):
            told["classes"] = [str(names[key]) for key in sorted(names)]
        elif isinstance(names, (list, tuple)):
            told["classes"] = [str(name) for name in names]
        if isinstance(size, (list, tuple)) and len(size) == 2:
            told["input"] = {"height": int(size[0]), "width": int(size[1])}
    except (ValueError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        got = ", ".join(f"{name} {short(metadata[name])}" for name in ("names", "imgsz") if name in metadata)
        raise InvalidInput(f"metadata: expected names by number and imgsz as literals, got {got}") from error
    return told


def _head(graph: Graph, picture: Mapping[str, Any]) -> Head | None:
    """The head, where the names or shapes of the outputs leave no doubt."""
    names = {port.name for port in graph.outputs}
    if {"labels", "boxes", "scores"} <= names:
        return "labelled"
    if {"probabilities", "boxes"} <= names:
        return "boxes"
    if {"labels", "dets"} <= names and len(graph.output("labels").shape) == 2:  # RF-DETR's are logits
        return "mmdet"
    if _detr_outputs(names):
        return "detr"
    shape = graph.outputs[0].shape
    if len(graph.outputs) == 1 and len(shape) == 3:
        return _single(shape, (picture.get("width") or 0, picture.get("height") or 0), graph.metadata)
    return None


def _single(shape: tuple[int | None, ...], size: tuple[int, int], metadata: Mapping[str, str]) -> Head | None:
    """The head with one output of this shape."""
    ultralytics = metadata.get("author") == "Ultralytics"
    if ultralytics:
        model, _, _ = metadata.get("description", "").partition(" trained on ")  # and then a path
        if "rtdetr" in metadata.get("head", model).lower():
            return "rtdetr"
        suppressed = metadata.get("end2end") == "True" or "'nms': True" in metadata.get("args", "")
        return "yolo-end2end" if shape[2] == 6 or (shape[2] is None and suppressed) else "yolo"
    if not all(size):
        return None
    if shape[1] == points(size, YOLOX_STRIDES) or shape[1] == 3 * points(size, YOLOX_STRIDES):
        return "yolox"
    if shape[1] == points(size, NANODET_STRIDES):
        return "nanodet"
    return "yolo" if shape[2] == points(size, YOLOX_STRIDES) else None


def _detr_outputs(names: set[str]) -> dict[str, str]:
    """The names of logits and boxes, as D-FINE, Hugging Face and RF-DETR write them."""
    for logits, boxes in (("pred_logits", "pred_boxes"), ("logits", "pred_boxes"), ("labels", "dets")):
        if {logits, boxes} <= names:
            return {"logits": logits, "boxes": boxes}
    return {}


def _outputs(graph: Graph, told: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a head that go without saying, and what else follows from how they are called."""
    head, names = told["head"], {port.name for port in graph.outputs}
    known: dict[str, str] = {role: role for role in ("embedding", "side_std") if role in names}
    if head == "detr":
        found = _detr_outputs(names)
        if found.get("boxes") == "dets":  # RF-DETR
            return {"outputs": {**known, **found}, "input": IMAGENET, "activation": "sigmoid"}
        if found.get("logits") == "logits":  # Hugging Face
            return {"outputs": {**known, **found}, "input": IMAGENET}
        return {"outputs": {**known, **found}}
    if head == "yolox":
        return _of_yolox(graph, told, known)
    if ROLES[head] == ("output",):
        return {"outputs": {**known, "output": graph.outputs[0].name}}
    return {"outputs": {**known, **{role: role for role in ROLES[head] if role in names}}}


def _of_yolox(graph: Graph, told: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """YOLOX has one box a cell; several, or a note of the stride, are of YOLOv5's family, with other habits."""
    output, picture = graph.outputs[0], told["input"]
    rows = output.shape[1] if len(output.shape) == 3 else None
    size = (picture.get("width") or 0, picture.get("height") or 0)
    one_each = not all(size) or rows in (None, points(size, YOLOX_STRIDES))
    outputs = {"outputs": {**known, "output": output.name}}
    if one_each and "stride" not in graph.metadata:
        return outputs
    return {**outputs, "decoded": True, "input": {"resize": "letterbox", "colours": "RGB", "scale": 1 / 255}}


def _classes_of(graph: Graph, told: Mapping[str, Any]) -> int | None:
    """How many classes the shapes of the outputs leave room for, where they fix it."""
    head = told["head"]
    ports = {role: _port(graph, name) for role, name in told.get("outputs", {}).items()}
    role, axis, besides = {
        "boxes": ("probabilities", 2, 0),
        "yolo": ("output", 1, 4),
        "rtdetr": ("output", 2, 4),
        "yolox": ("output", 2, 5),
        "detr": ("logits", 2, 0),
    }.get(head, ("", 0, 0))
    port = ports.get(role)
    size = port.shape[axis] if port is not None and len(port.shape) == 3 else None
    labelled = head == "rtdetr" and size == 6
    return None if size is None or labelled else size - besides


def _port(graph: Graph, name: str) -> Port | None:
    return next((port for port in graph.outputs if port.name == name), None)
