"""What pages keep is looked at again whenever anything on which it rests is another one, with no label more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from selection.cost import Costs
from selection.fitting import FittedCosts
from serving.policies import parse_policy
from tests.serving.served import Served, picture, serving
from tests.serving.work import START


@pytest.fixture
def labelled(tmp_path: Path) -> Iterator[Served]:
    """With one check: a bus where the tiny detector sees a car."""
    with serving(tmp_path, tasks=["detection"], calibration_share=1.0) as served:
        answer = served.client.post("/v1/detection/annotate", content=picture(1)).json()
        correction = {
            "task": "detection", "annotator": "ada", "seconds": 4.0, "tool": "test", "created_at": START.isoformat(),
            "label": {"width": 120, "height": 90, "boxes": [{"xyxy": [8, 8, 40, 40], "category": "bus"}]},
        }  # fmt: skip
        path = f"/v1/items/{answer['item_id']}/correction"
        assert served.client.post(path, json=correction).status_code == 200
        yield served


def test_checks_count_by_what_matters_now(labelled: Served) -> None:
    def wrong() -> str:
        text = labelled.client.get(f"/models/{labelled.version}").text
        return str(text.partition("randomly drawn items; ")[2][:8])

    assert wrong() == "wrong: 1"
    default = labelled.loop.policies.default
    labelled.loop.adopt(parse_policy({"matters_category": False}, "p", default), None, "boss")
    assert wrong() == "wrong: 0"


def test_a_label_from_nothing_takes_what_was_learnt_last(labelled: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_nothing() -> str:
        return str(labelled.client.get("/").text.partition("from nothing about ")[2].partition("<")[0])

    assert from_nothing() == "10 s"
    known = labelled.loop.trust(labelled.version)
    slower = replace(known, costs=FittedCosts(Costs(image_s=103.4), 100))
    monkeypatch.setattr(labelled.loop, "trust", lambda _: slower)
    assert from_nothing() == "110 s"
