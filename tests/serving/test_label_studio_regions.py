"""Labelling configurations are understood or refused, and labels become regions and come back as they were."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.records import Box, Boxes, Label, Lane, Lanes, PreAnnotation, Task, Transcript, Uncertainty, Word
from selection.routing import Decision
from serving.label_studio.config import View, view
from serving.label_studio.predictor import touches
from serving.label_studio.regions import label_of, regions_of, require_known
from serving.store.records import Answer
from tests.serving.test_label_studio_video import VIDEO

BOXES = """<View><Image name="i" value="$photo"/><RectangleLabels name="r" toName="i">
<Label value="Auto" alias="car"/><Label value="person"/></RectangleLabels></View>"""
LANES = """<View><Image name="i" value="$road"/><VectorLabels name="v" toName="i" closable="false">
<Label value="Line"/></VectorLabels></View>"""
POINTS = """<View><Image name="i" value="$road"/><KeyPointLabels name="k" toName="i">
<Label value="left"/><Label value="right"/></KeyPointLabels></View>"""
TEXT = '<View><Audio name="a" value="$sound"/><TextArea name="t" toName="a"/></View>'
SEGMENTS = """<View><Labels name="l" toName="a"><Label value="Speech"/></Labels><Audio name="a" value="$sound"/>
<TextArea name="t" toName="a" perRegion="true"/></View>"""
TWO_BOXES = BOXES.replace(
    "</View>", '<RectangleLabels name="s" toName="i"><Label value="dent"/></RectangleLabels></View>'
)
TWO_LANES = LANES.replace("</View>", '<VectorLabels name="s" toName="i"><Label value="Kerb"/></VectorLabels></View>')

REPEATED = """<View><Repeater on="$photos"><Image name="i_{{idx}}" value="$photos[{{idx}}].url"/>
<RectangleLabels name="r_{{idx}}" toName="i_{{idx}}"><Label value="car"/></RectangleLabels></Repeater></View>"""
REGION = {"from_name": "r", "type": "rectanglelabels", "value": {}}


def chose(*names: str, control: str = "fit") -> dict[str, Any]:
    return {"from_name": control, "type": "choices", "value": {"choices": list(names)}}


def answer(task: Task, label: Label, **features: float) -> Answer:
    said = PreAnnotation("item", task, "v1", label, Uncertainty(0.31, 8.2, 0.4), features)
    return Answer(said, Decision("review", "because"))


def back(task: Task, label: Label, shown: View, size: tuple[int, int] = (200, 100)) -> Label:
    return label_of(regions_of(answer(task, label), shown), shown, lambda: size)


class TestConfig:
    def test_names_and_keys_are_found(self) -> None:
        control = view(BOXES, "detection", ["car", "person"], {}).control
        assert (control.kind, control.from_name, control.to_name, control.key) == ("RectangleLabels", "r", "i", "photo")
        assert control.labels == ("car", "person")
        control = view(SEGMENTS, "asr", (), {}).control
        assert (control.kind, control.from_name, control.labels_name) == ("Segments", "t", "l")

    @pytest.mark.parametrize(
        ("config", "task", "says"),
        [
            ("<View", "asr", "label_config: expected XML, got"),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><View/>", "asr", "without declarations"),
            (TEXT, "detection", "RectangleLabels on Image or VideoRectangle on Video for task detection, got Au"),
            (BOXES, "lane", "VectorLabels on Image or KeyPointLabels on Image for task lane, got Image, Rect"),
            (TEXT.replace("$", ""), "asr", r'expected <Audio value="\$KEY">'),
            (TEXT.replace('toName="a"', 'toName="a" perRegion="true"'), "asr", "expected Labels on 'a'"),
            (BOXES.replace("Label ", "Other "), "detection", "expected labels in RectangleLabels 'r'"),
            (TWO_BOXES.replace("dent", "car"), "detection", "of the model in one control, r, got car in s"),
            (TWO_LANES.replace("Kerb", "lane"), "lane", "of the model in one control, v, got lane in s"),
            (
                REPEATED,
                "detection",
                "expected one medium a task, got RectangleLabels 'r_{{idx}}' in a Repeater, of many",
            ),
            (
                BOXES.replace("toName", 'choice="multiple" toName'),
                "detection",
                'a region, got choice="multiple" of Rec',
            ),
            (VIDEO.replace("<Labels", '<Labels choice="multiple"'), "detection", 'choice="multiple" of Labels'),
        ],
    )
    def test_what_is_not_understood_is_refused(self, config: str, task: Task, says: str) -> None:
        with pytest.raises(InvalidInput, match=says):
            view(config, task, ["car"], {})

    def test_other_controls_are_the_projects_own(self) -> None:
        assert view(TWO_BOXES, "detection", ["car", "person"], {}).control.from_name == "r"
        assert view(TWO_LANES, "lane", (), {}).controls == {"v", "s"}
        elsewhere = TWO_BOXES.replace("dent", "car").replace('"s" toName="i"', '"s" toName="j"')
        assert view(elsewhere, "detection", ["car", "person"], {}).controls == {"r", "s"}

    def test_whatever_else_people_answer_there_is_the_projects_own(self) -> None:
        """Per region, ranked, compared, repeated: what they make is let through and says nothing about boxes."""
        others = """<Choices name="c" toName="i" perRegion="true"><Choice value="a"/></Choices>
            <Rating name="s" toName="i"/>
            <List name="li" value="$li"/><Ranker name="rank" toName="li"/><Pairwise name="p" toName="i,j"/>
            <Repeater on="$p" indexFlag="{{n}}"><Text name="t{{n}}" value="$p[{{n}}]"/>
            <TextArea name="t-{{n}}" toName="t{{n}}"/></Repeater><Chat name="chat" value="$said"/></View>"""
        shown = view(BOXES.replace("</View>", others), "detection", ["car", "person"], {})
        made = [{"from_name": name} for name in ("r", "c", "s", "rank", "p", "t-0", "t-12", "chat")]
        require_known([*made, {"type": "relation"}], shown)
        for name in ("t-", "t-n", "x"):
            with pytest.raises(InvalidInput, match=f"got some of {name}"):
                require_known([{"from_name": name}], shown)

    @pytest.mark.parametrize(
        ("condition", "shown_with", "hidden_with"),
        [
            ("", [[], [chose("No")]], []),
            ('visibleWhen="region-selected"', [[]], []),
            ('visibleWhen="choice-selected" whenTagName="fit" whenChoiceValue="Yes,Maybe"',
             [[chose("Yes")], [chose("No", "Maybe")], [chose("y")]],
             [[], [chose("No")], [REGION], [chose("Yes", control="c")]]),
            ('visiblewhen="choice-unselected" whentagname="fit"', [[], [REGION]], [[chose("No"), REGION]]),
            ('visibleWhen="choice-selected"', [[chose("x", control="c")]], [[]]),
            ('visibleWhen="choice-selected" whenChoiceValue="Yes"', [[chose("No")]], [[]]),
            ('whenChoiceValue="No"', [[chose("No")]], [[chose("Yes")]]),
            ('visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="car"',
             [[{"from_name": "kind", "value": {"taxonomy": [["a", "b"], ["vehicle", "car"]]}}]],
             [[{"from_name": "kind", "value": {"taxonomy": [["car", "wheel"]]}}]]),
        ],
    )  # fmt: skip
    def test_who_does_not_see_the_control_says_nothing_with_it(
        self, condition: str, shown_with: list[Any], hidden_with: list[Any]
    ) -> None:
        choices = '<Choices name="fit" toName="i"><Choice value="Yes" alias="y"/><Choice value="No"/></Choices>'
        inside = BOXES.replace("<Rectangle", f"{choices}<View {condition}><View><Rectangle")
        control = view(inside.replace("</View>", "</View></View></View>"), "detection", ["car", "person"], {}).control
        assert [control.is_hidden(result) for result in shown_with] == [False] * len(shown_with)
        assert [control.is_hidden(result) for result in hidden_with] == [True] * len(hidden_with)
        text = f'<View><Audio name="i" value="$sound"/>{choices}<TextArea name="t" toName="i" {condition}/></View>'
        assert view(text, "asr", (), {}).control.conditions == control.conditions
        own = BOXES.replace("<RectangleLabels", f"{choices}<RectangleLabels {condition}")
        assert view(own, "detection", ["car", "person"], {}).control.conditions == ()  # nor does the editor hide these

    def test_what_is_chosen_of_one_segment_hides_no_other(self) -> None:
        choices = '<Choices name="fit" toName="a" perRegion="true"><Choice value="noise"/></Choices>'
        asked = 'visibleWhen="choice-unselected" whenTagName="fit" whenChoiceValue="noise"'
        shown = view(SEGMENTS.replace("<TextArea", f"{choices}<TextArea {asked}"), "asr", (), {})
        assert not shown.control.is_hidden([chose("noise")])

    def test_a_label_is_the_models_own_or_an_alias_or_refused_with_both_lists(self) -> None:
        with pytest.raises(InvalidInput, match=r"of the model, car, dog, or aliases .* got person among car, person"):
            view(BOXES, "detection", ["car", "dog"], {})
        names = view(BOXES, "detection", ["car", "pedestrian"], {"person": "pedestrian"}).names
        assert names.to_category == {"car": "car", "person": "pedestrian"}
        assert names.to_label == {"car": "car", "pedestrian": "person"}

    def test_of_several_kinds_of_lines_one_must_be_the_models(self) -> None:
        two = LANES.replace("</Vec", '<Label value="Kerb"/></Vec')
        with pytest.raises(InvalidInput, match=r"labels of the model, lane, .* got Line, Kerb"):
            view(two, "lane", (), {})
        assert view(two, "lane", (), {"Line": "lane"}).names.to_label["lane"] == "Line"


class TestRegions:
    def test_a_box_in_percent_with_its_doubt(self) -> None:
        label = Boxes(200, 100, (Box((20.0, 10.0, 80.0, 60.0), "car", 0.9), Box((0.0, 0.0, 5.0, 5.0), "cow")))
        shown = view(BOXES, "detection", ["car", "person", "cow"], {})
        (region,) = regions_of(answer("detection", label), shown)  # nobody asked for cows
        assert region == {
            "id": "box-0", "from_name": "r", "to_name": "i", "type": "rectanglelabels", "score": 0.9,
            "original_width": 200, "original_height": 100, "image_rotation": 0,
            "value": {"x": 10, "y": 10, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["car"]},
            "meta": {"text": ["p_error 0.31, about 8 s; review: because"]},
        }  # fmt: skip

    def test_a_lane_is_a_chain_of_vertices(self) -> None:
        label = Lanes(200, 100, (Lane(((50.0, 100.0), (100.0, 50.0)), confidence=0.7),))
        (region,) = regions_of(answer("lane", label), view(LANES, "lane", (), {}))
        assert region["type"] == "vectorlabels"
        assert region["value"]["vectorlabels"] == ["Line"]
        assert region["value"]["closed"] is False
        assert [(v["x"], v["y"], v["prevPointId"]) for v in region["value"]["vertices"]] == [
            (25, 100, None), (50, 50, region["value"]["vertices"][0]["id"]),
        ]  # fmt: skip

    def test_points_number_the_surest_lanes_from_left_to_right(self) -> None:
        def lane(x: float, sure: float) -> Lane:
            return Lane(((x, 90.0), (x + 20, 40.0)), confidence=sure)

        shown = view(POINTS, "lane", (), {})
        regions = regions_of(answer("lane", Lanes(200, 100, (lane(150, 0.8), lane(80, 0.2), lane(10, 0.9)))), shown)
        assert [r["value"]["keypointlabels"][0] for r in regions] == ["left", "left", "right", "right"]
        assert back("lane", Lanes(200, 100, (lane(150, 0.8), lane(10, 0.9))), shown) == Lanes(
            200, 100, (Lane(((10.0, 90.0), (30.0, 40.0))), Lane(((150.0, 90.0), (170.0, 40.0))))
        )

    def test_a_text_of_the_whole_file(self) -> None:
        shown = view(TEXT, "asr", (), {})
        (region,) = regions_of(answer("asr", Transcript("so it is")), shown)
        assert (region["type"], region["value"]) == ("textarea", {"text": ["so it is"]})
        assert back("asr", Transcript("so it is"), shown) == Transcript("so it is")
        assert label_of([region | {"value": {"text": "so it is"}}], shown, lambda: (1, 1)) == Transcript("so it is")
        assert regions_of(answer("asr", Transcript("")), shown) == []
        assert label_of([], shown, lambda: (1, 1)) == Transcript("")

    def test_segments_end_at_pauses_and_keep_the_times_of_words_that_nobody_changed(self) -> None:
        words = (Word("so", 0.2, 0.4, 0.9), Word("it", 0.5, 0.6, 0.8), Word("is", 1.4, 1.9, 0.7))
        label, shown = Transcript("so it is", words), view(SEGMENTS, "asr", (), {})
        regions = regions_of(answer("asr", label, duration_s=3.0), shown)
        assert [(r["id"], r["from_name"], r["type"], r["score"]) for r in regions] == [
            ("segment-0", "l", "labels", 0.8), ("segment-0", "t", "textarea", 0.8),
            ("segment-1", "l", "labels", 0.7), ("segment-1", "t", "textarea", 0.7),
        ]  # fmt: skip
        assert regions[0]["value"] == {"start": 0.2, "end": 0.6, "channel": 0, "labels": ["Speech"]}
        assert regions[0]["original_length"] == 3.0
        assert regions[1]["value"]["text"] == ["so it"]
        sure = tuple(Word(word.text, word.start_s, word.end_s) for word in words)
        assert label_of(regions[::-1], shown, lambda: (1, 1)) == Transcript("so it is", sure)
        regions[3]["value"]["text"] = ["was"]
        assert label_of(regions, shown, lambda: (1, 1)) == Transcript("so it was")

    def test_segments_as_the_editor_writes_them(self) -> None:
        """Drawn by hand on sound of two channels; the second was left without a text, the first has two."""
        speech, texts = {"labels": ["Speech"]}, ({"text": ["lower half"]}, {"text": ["hello there", " second  line"]})
        drawn: list[tuple[str, float, dict[str, list[str]]]] = [
            ("l", 1.9, speech), ("t", 1.9, texts[0]), ("l", 1.2, speech), ("l", 0.1, speech), ("t", 0.1, texts[1]),
        ]  # fmt: skip
        result = [{"original_length": 3, "id": str(start), "from_name": control, "to_name": "a", "origin": "manual",
                   "type": {"l": "labels", "t": "textarea"}[control],
                   "value": {"start": start, "end": start + 0.6, "channel": 0, **said}}
                  for control, start, said in drawn]  # fmt: skip
        shown = view(SEGMENTS, "asr", (), {})
        assert label_of(result, shown, lambda: (0, 0)) == Transcript("hello there second line lower half")

    def test_a_turned_box_is_the_upright_one_around_it(self) -> None:
        value = {"x": 50, "y": 20, "width": 10, "height": 20, "rotation": 90, "rectanglelabels": ["car"]}
        shown = view(BOXES, "detection", ["car", "person"], {})
        label = label_of([{"from_name": "r", "value": value}], shown, lambda: (200, 100))
        assert label == Boxes(200, 100, (Box((80.0, 20.0, 100.0, 40.0), "car"),))

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            ({}, "regions of RectangleLabels, got one without 'rectanglelabels'"),
            ({"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["cow"]}, "a label of the project, .* 'cow'"),
            (
                {"x": "a", "y": 1, "width": 5, "height": 5, "rectanglelabels": ["car"]},
                "regions of RectangleLabels, got others: could .*a'",
            ),
            (None, "regions of RectangleLabels, got others: "),
        ],
    )
    def test_a_region_that_is_none_is_refused(self, value: Any, says: str) -> None:
        with pytest.raises(InvalidInput, match=f"annotation: expected {says}"):
            label_of([{"from_name": "r", "value": value}], view(BOXES, "detection", ["car", "person"], {}),
                     lambda: (9, 9))  # fmt: skip

    def test_an_interactive_call_wants_what_the_hand_touches(self) -> None:
        box = {"value": {"x": 10, "y": 10, "width": 20, "height": 20}}
        lane = {"value": {"vertices": [{"x": 10, "y": 90}, {"x": 40, "y": 20}]}}
        assert touches(box, [{"value": {"x": 15, "y": 15, "width": 0.3}}])  # a click
        assert not touches(box, [{"value": {"x": 40, "y": 15, "width": 5, "height": 5}}])
        assert touches(lane, [{"value": {"x": 20, "y": 30, "width": 5, "height": 5}}])
        assert touches({"value": {"text": ["all"]}}, [{"value": {"start": 0, "end": 1}}])
        assert not touches({"value": {"start": 2, "end": 3}}, [{"value": {"start": 0, "end": 1}}])


sides = st.tuples(st.integers(0, 1919), st.integers(0, 1079), st.integers(1, 1920), st.integers(1, 1080))


@given(st.lists(sides, max_size=5), st.sampled_from([(1920, 1080), (333, 777)]))
def test_boxes_come_back_to_a_thousandth_of_a_pixel(drawn: list[tuple[int, ...]], size: tuple[int, int]) -> None:
    width, height = size
    wide, high = width / 1920, height / 1080
    corners = [(x * wide, y * high, min(width, (x + w) * wide), min(height, (y + h) * high)) for x, y, w, h in drawn]
    boxes = [Box(xyxy, "car") for xyxy in corners]
    label = Boxes(*size, tuple(boxes))
    again = back("detection", label, view(BOXES, "detection", ["car", "person"], {}), size)
    assert isinstance(again, Boxes)
    assert len(again.boxes) == len(boxes)
    for mine, theirs in zip(boxes, again.boxes, strict=True):
        assert theirs.xyxy == pytest.approx(mine.xyxy, abs=0.00051)
