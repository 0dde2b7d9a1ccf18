"""KITTI's average precision: the kit's rules by hand, and its loops written out slowly."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection.kitti_ap import average_precision, positions
from models.marks import KittiObject
from models.records import Box

Corners = tuple[float, float, float, float]
Scene = tuple[list[Box], list[KittiObject]]


def at(place: int, height: float = 50) -> Corners:
    """Boxes 20 wide that do not touch each other."""
    return (40.0 * place, 0.0, 40.0 * place + 20, height)


def said(place: int, score: float = 0.5, height: float = 50, category: str = "Car") -> Box:
    return Box(at(place, height), category, score)


def true(
    place: int, height: float = 50, category: str = "Car", truncation: float = 0.0, occlusion: int = 0
) -> KittiObject:
    return KittiObject(category, at(place, height), truncation, occlusion)


def region(x1: float, y1: float, x2: float, y2: float) -> KittiObject:
    return KittiObject("DontCare", (x1, y1, x2, y2), -1, -1)


def cars(*frames: Scene) -> tuple[float | None, float | None, float | None]:
    found = average_precision(frames)["Car"]
    return found["easy"], found["moderate"], found["hard"]


def test_recall_is_taken_from_the_second_position_on() -> None:
    # One car found: one score, at which precision is 1; the mean of positions 1 to 40 leaves the first, 0, out.
    assert cars(([said(0)], [true(0)])) == (0, 0, 0)
    # Two cars found: two scores, and one of the 40 positions.
    frame = [said(0), said(1, 0.4)], [true(0), true(1)]
    assert cars(frame) == (1 / 40, 1 / 40, 1 / 40)
    # 80 found: recall grows by an 80th a box, so every second one is a position; 41 with the first.
    many = [([said(0, 1 - i / 100)], [true(0)]) for i in range(80)]
    assert cars(*many)[0] == pytest.approx(1)
    # Half of 80 found, and nothing false: 20 positions with the first, 19 of 40 without.
    half = [([said(0, 1 - i / 100)] if i % 2 else [], [true(0)]) for i in range(80)]
    assert cars(*half)[0] == pytest.approx(20 / 40, abs=1 / 40)


@pytest.mark.parametrize(
    ("scores", "to_find", "expected"),
    [
        ([], 5, []),
        ([0.9], 1, [0.9]),
        ([0.9, 0.8, 0.7], 3, [0.9, 0.8, 0.7]),
        # 80 to find. Recall of the k-th is k / 80, positions are 0, 2/80, 4/80 ..: the first is kept, at 1/80, nearer
        # to 0 than the second; of the rest the even ones; the last is kept in any case.
        ([0.9, 0.8, 0.7, 0.6, 0.5], 80, [0.9, 0.8, 0.6, 0.5]),
        ([0.9, 0.8, 0.7], 80, [0.9, 0.8, 0.7]),
    ],
)
def test_positions_by_hand(scores: list[float], to_find: int, expected: list[float]) -> None:
    assert [scores[place] for place in positions(len(scores), to_find)] == expected


def sure(boxes: list[Box], objects: list[KittiObject]) -> float:
    """The precision of a frame at its easiest: shown 41 times with ever lower scores, every position sees it."""
    frames = [([Box(b.xyxy, b.category, b.confidence - i / 100) for b in boxes], objects) for i in range(41)]
    found = cars(*frames)[0]
    assert found is not None
    return found


def test_nothing_to_find_has_no_precision() -> None:
    assert cars() == (None, None, None)
    assert cars(([said(0)], [])) == (None, None, None)
    assert cars(([], [true(0)])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("found", "levels"),
    [
        (true(0, height=41), "easy moderate hard"),
        (true(0, height=40), "moderate hard"),  # not higher than 40
        (true(0, height=25), ""),
        (true(0, occlusion=1), "moderate hard"),
        (true(0, occlusion=2), "hard"),
        (true(0, occlusion=3), ""),
        (true(0, truncation=0.15), "easy moderate hard"),
        (true(0, truncation=0.3), "moderate hard"),
        (true(0, truncation=0.5), "hard"),
        (true(0, truncation=0.51), ""),
        (true(0, category="Van"), ""),
        (true(0, category="car"), "easy moderate hard"),
        (true(0, category="Truck"), ""),
    ],
)
def test_which_objects_are_to_be_found(found: KittiObject, levels: str) -> None:
    by_level = average_precision([([], [found])])["Car"]
    assert [name for name, value in by_level.items() if value is not None] == levels.split()


@pytest.mark.parametrize(
    ("boxes", "objects", "expected"),
    [
        # On a neighbouring category, or an object too hard, a box is neither right nor false.
        ([said(1, 0.95)], [true(1, category="Van")], 1),
        ([said(1, 0.95)], [true(1, occlusion=3)], 1),
        ([said(1, 0.95)], [true(1, category="Truck")], 0.5),
        ([said(1, 0.95), said(1, 0.94)], [true(1, category="Van")], 0.5),  # it takes one box
        # Boxes lower than asked are neither, and what they find is not to be found any more.
        ([said(1, 0.95, height=39)], [], 1),
        ([said(1, 0.95, height=40)], [], 0.5),
        # Boxes in regions that do not count, by the share of their own area.
        ([said(1, 0.95)], [region(40, 0, 60, 36)], 1),
        ([said(1, 0.95)], [region(40, 0, 60, 35)], 0.5),  # 0.7 is not more than 0.7
        ([said(1, 0.95)], [region(0, 0, 500, 500)], 1),
        # Other categories do not matter.
        ([said(1, 0.95, category="Van")], [], 1),
        ([said(1, 0.95, category="car")], [], 0.5),
    ],
)
def test_what_is_false_beside_a_car_that_is_found(
    boxes: list[Box], objects: list[KittiObject], expected: float
) -> None:
    assert sure([said(0, 0.9), *boxes], [true(0), *objects]) == pytest.approx(expected, abs=0.02)


def test_who_sits_is_a_neighbour_of_pedestrians() -> None:
    boxes = [said(0, 0.5, 50, "Pedestrian"), said(1, 0.9, 50, "Pedestrian"), said(2, 0.4, 50, "Pedestrian")]
    standing = [true(0, 50, "Pedestrian"), true(2, 50, "Pedestrian")]
    sitting = average_precision([(boxes, [*standing, true(1, 50, "Person_sitting")])])
    riding = average_precision([(boxes, [*standing, true(1, 50, "Cyclist")])])
    assert sitting["Pedestrian"]["easy"] == 1 / 40
    assert riding["Pedestrian"]["easy"] == pytest.approx(2 / 3 / 40)


def test_a_low_box_of_any_category_takes_an_object() -> None:
    # The kit looks at the height of boxes before their category: a low pedestrian takes a car, which then is neither
    # found nor missed. A car box that finds it too is second to a surer low one when scores are gathered.
    car, low = true(1, height=41), said(1, 0.99, height=39, category="Pedestrian")
    boxes, objects = [said(0, 0.9), said(2, 0.4)], [true(0), true(2), car]
    assert cars((boxes, objects))[0] == 1 / 40
    assert cars(([*boxes, said(1, 0.3, height=41)], objects))[0] == 2 / 40
    assert cars(([*boxes, said(1, 0.3, height=41), low], objects))[0] == 1 / 40


def test_an_object_takes_the_box_that_fits_best() -> None:
    # The box between two cars fits either; the other fits the first alone. Were it not taken there, it would be false.
    first, second = KittiObject("Car", (0, 0, 20, 50), 0, 0), KittiObject("Car", (5, 0, 25, 50), 0, 0)
    exact, between = Box((0, 0, 20, 50), "Car", 0.95), Box((2.5, 0, 22.5, 50), "Car", 0.9)
    assert sure([between, exact], [first, second]) == sure([exact, between], [first, second]) == 1


def test_overlaps_are_larger_than_asked() -> None:
    def found(category: str, height: float) -> float | None:
        low = Box((0.0, 0.0, 20.0, height), category, 0.9)
        frame = [low, said(3, 0.8, 100, category)], [true(0, 100, category), true(3, 100, category)]
        return average_precision([frame])[category]["easy"]

    assert (found("Car", 70), found("Car", 71)) == (0, 1 / 40)
    assert (found("Pedestrian", 50), found("Pedestrian", 51)) == (0, 1 / 40)
    assert (found("Cyclist", 50), found("Cyclist", 51)) == (0, 1 / 40)


def slow(frames: list[Scene], category: str, height: int, occlusion: int, truncation: float) -> float | None:
    """The kit's functions in their order: what is ignored, scores of what is found, their choice, counts at each."""
    least = {"Car": 0.7, "Pedestrian": 0.5}[category]
    neighbour = {"Car": "Van", "Pedestrian": "Person_sitting"}[category]

    def overlap(a: Corners, b: Corners, of_a: bool = False) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        if w <= 0 or h <= 0:
            return 0.0
        areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        return w * h / (areas[0] if of_a else sum(areas) - w * h)

    def states(frame: Scene) -> tuple[list[int], list[int]]:
        objects = []
        for o in frame[1]:
            easy = o.occlusion <= occlusion and o.truncation <= truncation and o.xyxy[3] - o.xyxy[1] > height
            valid = 1 if o.category == category else 0 if o.category == neighbour else -1
            objects.append(0 if valid == 1 and easy else 1 if valid >= 0 else -1)
        boxes = []
        for b in frame[0]:
            low = int(b.xyxy[3] - b.xyxy[1]) < height
            boxes.append(1 if low else 0 if b.category == category else -1)
        return objects, boxes

    def statistics(frame: Scene, threshold: float | None) -> tuple[list[float], int]:
        objects, boxes = states(frame)
        assigned = [False] * len(frame[0])
        found: list[float] = []
        for o, state in zip(frame[1], objects, strict=True):
            if state == -1:
                continue
            best, most, low = None, 0.0, False
            for j, b in enumerate(frame[0]):
                if boxes[j] == -1 or assigned[j] or (threshold is not None and b.confidence < threshold):
                    continue
                fit = overlap(b.xyxy, o.xyxy)
                if fit <= least:
                    continue
                if threshold is None:
                    if best is None or b.confidence > frame[0][best].confidence:
                        best = j
                elif boxes[j] == 0 and (fit > most or low):
                    best, most, low = j, fit, False
                elif boxes[j] == 1 and best is None:
                    best, low = j, True
            if best is not None:
                assigned[best] = True
                if state == 0 and boxes[best] == 0:
                    found.append(frame[0][best].confidence)
        false = 0
        if threshold is not None:
            rest = [
                j for j, b in enumerate(frame[0]) if not assigned[j] and boxes[j] == 0 and b.confidence >= threshold
            ]
            areas = [o for o in frame[1] if o.category == "DontCare"]
            false = len([j for j in rest if not any(overlap(frame[0][j].xyxy, a.xyxy, True) > least for a in areas)])
        return found, false

    to_find = sum(state == 0 for frame in frames for state in states(frame)[0])
    if not to_find:
        return None
    scores = sorted((s for frame in frames for s in statistics(frame, None)[0]), reverse=True)
    kept, recall = [], 0.0
    for i, score in enumerate(scores):
        left = (i + 1) / to_find
        right = (i + 2) / to_find if i < len(scores) - 1 else left
        if right - recall < recall - left and i < len(scores) - 1:
            continue
        kept.append(score)
        recall += 1.0 / 40
    precision = [0.0] * 41
    for i, threshold in enumerate(kept):
        counts = [statistics(frame, threshold) for frame in frames]
        hits, false = sum(len(found) for found, _ in counts), sum(wrong for _, wrong in counts)
        precision[i] = hits / (hits + false) if hits + false else 0.0
    return sum(max(precision[i:]) for i in range(1, 41)) / 40


CORNERS = st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(2, 4), st.sampled_from([20, 26, 39, 45])).map(
    lambda g: (4.0 * g[0], 4.0 * g[1], 4.0 * (g[0] + g[2]), 4.0 * g[1] + g[3])
)
KIND = st.sampled_from(["Car", "Car", "Car", "Pedestrian", "Van", "Person_sitting", "DontCare", "Tram"])
FRAME = st.tuples(
    st.lists(st.builds(Box, CORNERS, KIND, st.sampled_from([0.2, 0.4, 0.6, 0.8])), max_size=6),
    st.lists(st.builds(KittiObject, KIND, CORNERS, st.sampled_from([0.0, 0.2, 0.4]), st.integers(0, 3)), max_size=5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAME, max_size=3), st.integers(1, 20))
def test_it_is_the_slow_kit(frames: list[Scene], times: int) -> None:
    frames = frames * times  # so that positions are skipped
    got = average_precision(frames)
    for category in ("Car", "Pedestrian"):
        for level, rule in (("easy", (40, 0, 0.15)), ("moderate", (25, 1, 0.3)), ("hard", (25, 2, 0.5))):
            expected = slow(frames, category, *rule)
            assert got[category][level] == (None if expected is None else pytest.approx(expected))
