"""torchvision's detectors as versions: the same boxes as torchvision finds, in ONNX too, and further training."""

from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet  # type: ignore[import-untyped]
from torchvision.models.detection.rpn import AnchorGenerator  # type: ignore[import-untyped]

from models import tasks
from models.certainty import Certainty
from models.checkpoints import read_state
from models.declaring import build
from models.detection import torchvision_detector as ours
from models.detection import torchvision_two_stage as two_stage
from models.detection.declaration import Declaration
from models.detection.runtime import detections
from models.detection.torchvision_detector import Batch, Network, Settings
from models.errors import InvalidInput, NotFound
from models.pretrained import import_checkpoint
from models.records import Box, Boxes, Item, Label
from models.versions import CHECKPOINT
from serving.training import Material, Request, train_version
from tests.descent import losses

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CLASSES = ("__background__", "car", "van")


class Backbone(nn.Module):
    """Five small maps at strides 8 to 128, as the pyramids of FCOS and RetinaNet have them; or at 4 to 64."""

    out_channels = 64  # two a group of the heads' GroupNorm, which refuses single values

    def __init__(self, stride: int = 8) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 64, 9, stride=stride, padding=4), nn.BatchNorm2d(64), nn.ReLU())
        self.rest = nn.ModuleList(nn.Conv2d(64, 64, 3, stride=2, padding=1) for _ in range(4))

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        maps = [self.first(images)]
        for layer in self.rest:
            maps.append(layer(maps[-1]).relu())
        return OrderedDict(zip(("0", "1", "2", "3", "pool"), maps, strict=True))


def small(settings: Settings) -> nn.Module:
    """The detector of that name on a small backbone, with a mark that tells it apart; SSDLite is small as it is."""
    made = _unmarked(settings)
    made.register_buffer("mark", torch.zeros(1 + ours.MODELS.index(settings.model)))
    return made


def _unmarked(settings: Settings) -> nn.Module:
    if settings.model in ours.TWO_STAGES:
        sizes = tuple((size,) for size in (16, 32, 48, 64, 96))
        anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
        every = {
            "rpn_pre_nms_top_n_test": 2000,
            "rpn_post_nms_top_n_test": 2000,
        }  # random scores are too near each other
        made: nn.Module = FasterRCNN(Backbone(4), len(settings.classes), rpn_anchor_generator=anchors, **every)
        return made
    if settings.size:
        return full(settings)
    kind = FCOS if settings.model.startswith("fcos") else RetinaNet
    detector: nn.Module = kind(Backbone(), len(settings.classes))
    return detector


full = ours.build


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "build", small)


def network(model: str, classes: tuple[str, ...] = CLASSES) -> Network:
    """Random weights, with probabilities of all sizes."""
    torch.manual_seed(0)
    made = Network(Settings(model, classes))
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "cls_logits" in name or ("classification_head" in name and name.endswith("1.weight")):
                weight.copy_(torch.randn_like(weight) * (0.02 if name.endswith("weight") else 0.5) * 5)
    return made.eval()


@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_candidates_are_those_of_torchvision(model: str) -> None:
    """Each box that torchvision gives is among ours, with its probability."""
    made = network(model)
    height, width = made.settings.size or (128, 256)
    made.detector.transform.min_size, made.detector.transform.max_size = (min(height, width),), max(height, width)
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = made.detector(list(image))[0]
        probabilities, boxes, _, _ = made(image)
    inside = torchvision.ops.clip_boxes_to_image(boxes[0], (height, width))
    assert len(theirs["boxes"]) > 20
    for box, score, label in zip(theirs["boxes"][:60], theirs["scores"], theirs["labels"], strict=False):
        column = made.settings.named.index(int(label)) if int(label) in made.settings.named else None
        if column is None:
            continue  # FCOS and RetinaNet may name the background, which is no category here
        off = (inside - box).abs().amax(dim=1) + (probabilities[0, :, column] - score).abs() * 1e3
        assert off.min() < 0.05


class Said(nn.Module):
    """A head that says of each anchor what was drawn at random: of most that there is nothing."""

    def __init__(self, like: dict[str, Tensor], softmax: bool) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(2)
        self.outputs = {name: torch.randn(value.shape, generator=rng) for name, value in like.items()}
        if "bbox_ctrness" in like:
            self.outputs["bbox_regression"] += 2  # distances, which are positive
        seen = torch.rand(like["cls_logits"].shape[:2], generator=rng) < 100 / like["cls_logits"].shape[1]
        nothing = torch.tensor([20.0, 0, 0, 0]) if softmax else torch.tensor(-20.0)
        self.outputs["cls_logits"] += torch.where(seen[..., None], 0.0, nothing)

    def forward(self, _: object) -> dict[str, Tensor]:
        return self.outputs


@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_the_same_boxes_stay_as_in_torchvision_where_places_have_several_classes(model: str) -> None:
    made = network(model, ("__background__", "car", "van", "bus"))
    height, width = made.settings.size or (128, 256)
    made.detector.transform.min_size, made.detector.transform.max_size = (min(height, width),), max(height, width)
    made.detector.detections_per_img = 1000
    image = torch.rand(1, 3, height, width)
    with torch.no_grad():
        made.detector.head = Said(made.raw(image)[1], softmax=model.startswith("ssdlite"))
        theirs = made.detector(list(image))[0]
        probabilities, boxes, side_std, _ = (value[0].numpy() for value in made(image))
    found = detections(
        probabilities,
        boxes,
        side_std,
        width,
        height,
        [Certainty()] * 3,
        0.3,
        ours.declared(made.settings)["most_overlap"],
    )
    assert ((probabilities >= 0.3).sum(axis=1) > 1).sum() > 10
    whole = (theirs["scores"] >= 0.3) & (theirs["boxes"][:, 2:] > theirs["boxes"][:, :2]).all(dim=1)
    kept = whole & (theirs["labels"] > 0)  # FCOS and RetinaNet may name the background
    certain = found.confidences >= 0.3  # what is given is a part of these: of a place its surest class alone
    assert (found.categories[certain] + 1).tolist() == theirs["labels"][kept].tolist()
    assert found.boxes[certain] == pytest.approx(theirs["boxes"][kept].numpy(), abs=0.01)
    assert 0 < found.given.sum() < certain.sum()


@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_boxes_are_suppressed_as_torchvision_does_it(model: str) -> None:
    settings = Settings(model, CLASSES)
    assert ours.declared(settings)["most_overlap"] == ours.build(settings).nms_thresh


@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "ssdlite320_mobilenet_v3_large", "fasterrcnn_resnet50_fpn"])
def test_a_checkpoint_sees_larger_pictures_as_in_torchvision(tmp_path: Path, model: str) -> None:
    """torchvision looks at the four pixels around each point; noise made smaller otherwise is another picture."""
    made: Any = ours.build(Settings(model, CLASSES, 64, 64)).eval()
    torch.save(made.state_dict(), tmp_path / "it.pth")
    settings, _ = ours.pretrained(model, tmp_path / "it.pth", {"classes": CLASSES, "shortest": 64, "longest": 64})
    transform = made.transform
    transform.min_size, transform.max_size = (64,), 64
    noise = np.random.default_rng(0).integers(0, 256, (500, 400, 3), np.uint8)
    expected = transform([torch.from_numpy(noise).permute(2, 0, 1) / 255])[0].tensors[0]
    module = two_stage if model in ours.TWO_STAGES else ours
    seen, _ = build(Declaration, module.declared(settings)).input.read(noise)
    mean, std = (np.array(values)[:, None, None] for values in (transform.image_mean, transform.image_std))
    inner = (slice(None), slice(0, 60), slice(0, 48)) if settings.size != (320, 320) else ...
    assert ((seen[0] - mean) / std)[inner] == pytest.approx(expected.numpy()[inner], abs=0.05)
    assert ours.settings_for([], settings).shrink == "smooth"  # as examples for training are prepared here


def test_a_checkpoint_becomes_a_version_that_can_be_trained_further(tmp_path: Path) -> None:
    """One export for each: torch and ONNX agree at several shapes of picture, or neither is published."""
    file = tmp_path / "fcos.pth"
    torch.save({"model": network("fcos_resnet50_fpn").detector.state_dict()}, file)
    given = {"classes": ["car", "van"], "shortest": 64, "longest": 128}
    where = {"versions_dir": tmp_path / "versions", "now": NOW}
    version = import_checkpoint("detection", str(file), given, note="Ada's", **where)  # type: ignore[arg-type]
    assert version.settings["model"] == "fcos_resnet50_fpn"  # its weights said so
    assert version.training["imported"] == "torchvision:fcos.pth"
    assert (version.folder / CHECKPOINT).is_file()
    runtime = tasks.load_runtime("detection", version.onnx, threads=1)
    said = runtime.predict(np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8))
    assert len(said.embedding) == 64

    trained = train_version(
        Request("detection", data=(), epochs=1, batch_size=2, learning_rate=1e-3),
        Material(pictures(tmp_path / "media")),
        start=version,
        runs_dir=tmp_path / "runs",
        versions_dir=tmp_path / "versions",
    )
    assert trained.parent == version.name
    assert trained.settings["classes"] == [*CLASSES, "bus"]
    assert tasks.load_runtime("detection", trained.onnx, threads=1).predict(np.zeros((50, 50, 3), np.uint8))


def pictures(folder: Path) -> list[tuple[Item, Label]]:
    """Three grey pictures with a white box each."""
    folder.mkdir()
    pairs: list[tuple[Item, Label]] = []
    for number in range(3):
        pixels = np.full((96, 128, 3), 90, np.uint8)
        pixels[20:60, 30 + number : 80] = 250
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        box = Box((30.0 + number, 20.0, 80.0, 60.0), "bus" if number else "car")
        pairs.append((Item(path.name, str(path)), Boxes(128, 96, (box,))))
    return pairs


@pytest.mark.parametrize("model", ["fcos_resnet50_fpn", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_the_loss_falls(model: str) -> None:
    torch.manual_seed(0)
    made = Network(Settings(model, CLASSES))
    boxes = torch.tensor([[[30.0, 20.0, 80.0, 60.0]], [[0.0, 0.0, 0.0, 0.0]]])
    images = torch.full((2, 3, 96, 128), 0.3)
    images[0, :, 20:60, 30:80] = 1.0
    batch = Batch(images, boxes, torch.tensor([[1], [-1]]))
    before = [layer.running_mean.clone() for layer in ours._norms(made.detector)]  # type: ignore[union-attr]
    fallen = losses(made, ours.loss, batch, 8, 1e-3)
    assert fallen[-1] < 0.995 * fallen[0]
    after = [layer.running_mean for layer in ours._norms(made.detector)]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_anchors_are_as_exact_beside_features_in_bfloat16(model: str) -> None:
    """As on a GPU. From 256 pixels on bfloat16 has every second pixel only, from 512 on every fourth."""
    made = network(model)
    images = torch.rand(1, 3, *(made.settings.size or (128, 640)))
    with torch.no_grad():
        expected = made.anchors(images, made.raw(images)[0])
        with torch.autocast("cpu", torch.bfloat16):
            features, _ = made.raw(images)
            anchors = made.anchors(images, features)
    assert features[0].dtype == torch.bfloat16
    assert torch.equal(anchors, expected)


@pytest.mark.parametrize("model", ["retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_a_known_category_keeps_its_rows(model: str) -> None:
    """With a category more, the probabilities of the others stay (those of a softmax in proportion)."""
    old = network(model)
    settings = ours.settings_for([Boxes(9, 9, (Box((1, 1, 2, 2), "bus"),))], old.settings)
    assert settings.classes == (*CLASSES, "bus")
    new = Network(settings).eval()
    ours.warm_start(new, old.state_dict(), old.settings)
    image = torch.rand(1, 3, *(settings.size or (128, 128)))
    with torch.no_grad():
        first, second = old(image)[0][0], new(image)[0][0]
    assert torch.allclose(first[:, 0] * second[:, 1], first[:, 1] * second[:, 0], atol=1e-6)
    with pytest.raises(InvalidInput, match="checkpoint: expected the weights of"):
        ours.warm_start(new, {"other.weight": torch.zeros(1)}, old.settings)


class TestTwoStages:
    """Faster R-CNN, in a picture of 64 x 96."""

    def network(self) -> two_stage.Network:
        torch.manual_seed(0)
        made = two_stage.Network(Settings("fasterrcnn_resnet50_fpn", CLASSES, 64, 96, 1e-5, "torchvision_two_stage"))
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if "cls_score.weight" in name or "rpn.head.cls_logits.weight" in name:
                    weight.mul_(20)
            made.detector.roi_heads.box_predictor.cls_score.bias[0] = 3.0  # most are background
        return made.eval()

    def test_boxes_are_those_of_torchvision(self) -> None:
        made = self.network()
        made.detector.transform.min_size, made.detector.transform.max_size = (64,), 96
        image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            theirs = made.detector(list(image))[0]
            labels, boxes, scores, _ = made(image)
        inside = torchvision.ops.clip_boxes_to_image(boxes[0], (64, 96))
        assert len(theirs["boxes"]) > 5
        for box, score, label in zip(theirs["boxes"], theirs["scores"], theirs["labels"], strict=True):
            off = (inside - box).abs().amax(dim=1) + (scores[0] - score).abs() * 1e3 + (labels[0] - label).abs() * 1e3
            assert off.min() < 0.05

    def test_a_checkpoint_becomes_a_version(self, tmp_path: Path) -> None:
        """Torch and ONNX agree on images of several shapes, each fitted into the one picture."""
        torch.save(self.network().detector.state_dict(), tmp_path / "it.pth")
        given = {"classes": ["car", "van"], "shortest": 64, "longest": 96}
        where = {"versions_dir": tmp_path / "versions", "now": NOW}
        version = import_checkpoint("detection", str(tmp_path / "it.pth"), given, note="", **where)  # type: ignore[arg-type]
        assert version.settings["architecture"] == "torchvision_two_stage"
        runtime = tasks.load_runtime("detection", version.onnx, threads=1)
        said = runtime.predict(np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8)).label
        assert isinstance(said, Boxes)
        assert {box.category for box in said.boxes} <= {"car", "van"}

    def test_rows_in_another_order_are_the_same(self) -> None:
        rng = np.random.default_rng(0)
        rows = [rng.integers(0, 3, (1, 9)), rng.uniform(0, 50, (1, 9, 4)), rng.uniform(0, 1, (1, 9)), np.zeros((1, 2))]
        order = rng.permutation(9)
        mixed = [rows[0][:, order], rows[1][:, order], rows[2][:, order], rows[3]]
        for one, other in zip(rows, two_stage.in_order_of(rows, mixed), strict=True):
            assert (one == other).all()
        other_choice = [row.copy() for row in rows]
        faintest = int(rows[2][0].argmin())
        other_choice[1][0, faintest] += 7
        assert (two_stage.in_order_of(rows, other_choice)[1] == rows[1]).all()
        wrong = [row.copy() for row in rows]
        wrong[1][0, int(rows[2][0].argmax())] += 7
        assert (two_stage.in_order_of(rows, wrong)[1] != rows[1]).any()

    def test_the_loss_falls_and_known_categories_keep_their_rows(self) -> None:
        old = two_stage.Network(self.network().settings)
        batch = Batch(
            torch.rand(2, 3, 64, 96), torch.tensor([[[30.0, 20.0, 80.0, 60.0]]] * 2), torch.tensor([[1], [-1]])
        )

        def loss(network: two_stage.Network, of: Batch) -> torch.Tensor:
            torch.manual_seed(0)  # it draws samples
            return two_stage.loss(network, of)

        fallen = losses(old, loss, batch, 8, 1e-4)
        assert fallen[-1] < 0.9 * fallen[0]
        settings = ours.settings_for([Boxes(9, 9, (Box((1, 1, 2, 2), "bus"),))], old.settings)
        new = two_stage.Network(settings).eval()
        ours.warm_start(new, old.state_dict(), old.settings)
        first, second = (each.detector.roi_heads.box_predictor for each in (old.eval(), new))
        assert torch.equal(first.cls_score.weight, second.cls_score.weight[:3])
        assert torch.equal(first.bbox_pred.weight, second.bbox_pred.weight[:12])

    def test_true_boxes_are_learnt_as_they_are_beside_features_in_bfloat16(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, true = self.network(), torch.tensor([30.3, 20.7, 80.1, 60.9])
        made.train()
        coder = made.detector.roi_heads.box_coder
        encode, learnt = coder.encode, list[Tensor]()

        def watched(boxes: list[Tensor], proposals: list[Tensor]) -> object:
            learnt.extend((*boxes, *proposals))
            return encode(boxes, proposals)

        monkeypatch.setattr(coder, "encode", watched)
        with torch.autocast("cpu", torch.bfloat16):
            two_stage.loss(made, Batch(torch.rand(1, 3, 64, 96), true[None, None], torch.tensor([[1]])))
        assert {each.dtype for each in learnt} == {torch.float32}
        assert torch.equal(learnt[0], true.expand_as(learnt[0]))


class TestCheckpoints:
    def test_which_model_it_is_stands_in_its_weights(self, tmp_path: Path) -> None:
        made = network("retinanet_resnet50_fpn")
        torch.save(made.detector.state_dict(), tmp_path / "it.pth")
        settings, state = ours.pretrained("", tmp_path / "it.pth", {"classes": ["car", "van"]})
        assert (settings.model, settings.classes) == ("retinanet_resnet50_fpn", CLASSES)
        assert all(name.startswith("detector.") for name in state)
        with pytest.raises(InvalidInput, match="expected the weights of fcos_resnet50_fpn, got others"):
            ours.pretrained("fcos_resnet50_fpn", tmp_path / "it.pth", {"classes": ["car", "van"]})
        with pytest.raises(InvalidInput, match=r"classes: expected the names of 3 classes, .*, got 1"):
            ours.pretrained("", tmp_path / "it.pth", {"classes": ["car"]})
        for wrong, message in (
            ({"classes": 2}, "classes: expected a list of names, got 2"),
            ({"classes": ["car", 7]}, "classes.2: Input should be a valid string, got 7"),
            ({"shortest": "wide"}, "shortest: Input should be a valid integer, .*, got 'wide'"),
            ({"longest": 0}, r"expected sides >= 1 and a number in \[0, 1\), got 800, 0, "),
        ):
            with pytest.raises(InvalidInput, match=message):
                ours.pretrained("", tmp_path / "it.pth", {"classes": ["car", "van"], **wrong})

    def test_what_is_no_checkpoint_is_refused(self, tmp_path: Path) -> None:
        where = {"versions_dir": tmp_path / "versions", "now": NOW}
        (tmp_path / "it.pth").write_bytes(b"no weights at all")
        with pytest.raises(InvalidInput, match=r"it\.pth: expected a checkpoint of plain weights"):
            import_checkpoint("detection", str(tmp_path / "it.pth"), {}, note="", **where)  # type: ignore[arg-type]
        torch.save({"model": Network}, tmp_path / "whole.pth")
        with pytest.raises(InvalidInput, match=r"whole\.pth: .* plain weights, got models\..*Network;"):
            read_state(tmp_path / "whole.pth")
        (tmp_path / "it.safetensors").write_bytes(b"no weights at all")
        with pytest.raises(InvalidInput, match=r"it\.safetensors: expected a checkpoint of plain weights, got Error"):
            read_state(tmp_path / "it.safetensors")
        with pytest.raises(
            InvalidInput, match=r"expected a checkpoint of torchvision for detection, .*, got one for lan"
        ):
            import_checkpoint("lane", str(tmp_path / "it.pth"), {}, note="", **where)  # type: ignore[arg-type]
        source = f"torchvision:fcos_resnet50_fpn:{tmp_path / 'it.pth'}"
        with pytest.raises(InvalidInput, match=r"declaration: expected some of model, classes, .*, got head"):
            import_checkpoint("detection", source, {"head": "yolo"}, note="", **where)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"torchvision: expected one of fcos_resnet50_fpn, .*, got 'yolo'"):
            import_checkpoint("detection", "torchvision:yolo", {}, note="", **where)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"torchvision: expected the name of a model or a file, got neither"):
            import_checkpoint("detection", "torchvision:", {}, note="", **where)  # type: ignore[arg-type]

    def test_without_a_network_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object, **__: object) -> None:
            raise OSError("<urlopen error no way there>")

        monkeypatch.setattr("torch.hub.load_state_dict_from_url", away)
        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", away)
        with pytest.raises(
            NotFound, match=r"torchvision:fcos_resnet50_fpn: expected to download it, got .*a file will do"
        ):
            ours.pretrained("fcos_resnet50_fpn", None, {})
