"""Label Studio's queue is in the order of ours: any mix of strategies, with turns and distances, while people work."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from models.records import Uncertainty
from selection.policy import Policy
from selection.queueing import StrategyName
from selection.routing import Decision
from serving.label_studio import ordering
from serving.label_studio.ordering import Ordering, behind_head, head_scores
from serving.loop import utc_now
from serving.media_files import content_id
from serving.store.records import Answer
from serving.store.studio import Project
from tests.serving.fake_studio import FakeStudio
from tests.serving.served import eventually, picture, serving
from tests.serving.test_handing_out import Desk
from tests.serving.work import answer

PROJECT = Project("detection", 1, "v1")


class Joined:
    """A store, and a project of Label Studio about all its items, in the order of their names."""

    def __init__(self, folder: Path, items: list[tuple[float, str | None]], **values: Any) -> None:
        self.desk, self.studio = Desk(folder, **values), FakeStudio()
        self.studio.project["model_version"] = "v1"
        loop = self.desk.loop
        self.ordering = Ordering(loop, self.studio.client(), loop._settings)
        for number, (score, group) in enumerate(items, start=1):
            name = f"{group}_{number}"
            self.desk.post(name, score, "car", *["bus"] * (number % 2), group=group)
            task = self.studio.add_task(f"{name}.png", b"")
            task["predictions"].append({"id": number, "score": 1.0, "model_version": "v1", "result": []})
            loop.store.studio.remember("detection", number, f"{name}.png", content_id(name.encode()))

    def look(self) -> None:
        self.ordering.see(PROJECT, self.studio.tasks)
        self.ordering.arrange(PROJECT)

    def annotate(self, task: int) -> None:
        self.studio.annotate(self.studio.tasks[task - 1], [])
        self.desk.correct(self.named(task), 2.0)

    def named(self, task: int) -> str:
        return str(self.studio.tasks[task - 1]["data"]["image"]).rsplit("/", 1)[-1].removesuffix(".png")

    def queue(self) -> list[str]:
        return [self.named(task) for task in self.studio.queue()]


mixes = st.dictionaries(st.sampled_from(get_args(StrategyName)), st.floats(0.1, 1), min_size=1, max_size=3)
some_items = st.lists(
    st.tuples(st.floats(0.01, 1), st.none() | st.sampled_from(["a", "b", "c"])), min_size=1, max_size=20
)


@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some_items,
    mixes,
    st.sampled_from(["none", "group", "class"]),
    st.integers(1, 3),
    st.floats(0.05, 0.9),
    st.integers(0, 6),
)
def test_the_order_is_that_in_which_our_queue_hands_out(
    tmp_path_factory: pytest.TempPathFactory,
    items: list[tuple[float, str | None]],
    mix: dict[StrategyName, float],
    balance: str,
    frames_apart: int,
    audits: float,
    done: int,
) -> None:
    folder = tmp_path_factory.mktemp("joined")
    joined = Joined(folder, items, balance=balance, frames_apart=frames_apart, calibration_share=audits)
    joined.desk.adopt(strategies=[{"name": name, "share": share} for name, share in mix.items()])
    joined.look()
    for task in joined.studio.queue()[:done]:
        joined.annotate(task)
    joined.ordering.arrange(PROJECT)
    there = joined.queue()
    assert len(there) == max(0, len(items) - done)
    assert joined.desk.lease(99, "somebody") == there
    joined.desk.loop.store.close()


def test_places_stay_while_people_take_the_first(tmp_path: Path) -> None:
    joined = Joined(tmp_path, [(score / 10, None) for score in range(1, 10)], calibration_share=0.001)
    joined.look()
    assert joined.queue() == [f"None_{number}" for number in range(9, 0, -1)]
    assert joined.studio.changed == 9
    for left in range(8, 0, -1):
        joined.annotate(left + 1)
        assert joined.ordering.arrange(PROJECT) == 1  # the one that is done stands behind
        assert joined.queue() == [f"None_{number}" for number in range(left, 0, -1)]


def test_a_task_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    joined = Joined(tmp_path, [(score / 10, None) for score in range(1, 10)], calibration_share=0.001)
    joined.look()
    joined.studio.tasks[8]["predictions"] = []
    joined.desk.correct("None_9", 2.0)  # so that its place would move
    joined.annotate(8)
    assert joined.ordering.arrange(PROJECT) == 1
    assert joined.ordering.arrange(PROJECT) == 0
    assert joined.queue() == [f"None_{number}" for number in range(7, 0, -1)]


def test_behind_the_first_doubt_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "HEAD", 2)
    items: list[tuple[float, str | None]] = [(score / 10, None) for score in (3, 1, 9, 5, 2)]
    joined = Joined(tmp_path, items, calibration_share=0.001)
    joined.desk.adopt(strategies=[{"name": "typiclust"}])
    joined.look()
    first = joined.desk.lease(2, "somebody")
    assert joined.queue()[:2] == first
    rest = [name for name in ("None_3", "None_4", "None_1", "None_5", "None_2") if name not in first]
    assert joined.queue()[2:] == rest


def test_scores_by_hand() -> None:
    assert head_scores(0, ["a", "b"]) == {"a": 0.0, "b": pytest.approx(0.5 / 1001)}
    assert head_scores(1, ["b"]) == {"b": head_scores(0, ["a", "b"])["b"]}
    assert max(head_scores(10**6, ["z"]).values()) < ordering.BEHIND


def test_doubtful_ones_come_first_accepted_ones_last_and_random_checks_anywhere(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def place(decision: str, score: float) -> float:
        said = answer("a").preannotation
        doubt = Uncertainty(0.5, 3.0, score)
        told = Answer(type(said)(**{**vars(said), "uncertainty": doubt}), Decision(decision, "so"))  # type: ignore[arg-type]
        return behind_head(told, desk.loop, desk.loop._settings)

    assert ordering.BEHIND <= place("review", 0.9) < place("annotate", 0.8) < place("review", 0.1)
    assert place("review", 0) <= ordering.ACCEPTED <= place("accept", 0.99) < place("accept", 0.05) <= 1
    assert place("audit", 0.9) == place("audit", 0.1)
    strategies: Policy = desk.adopt(strategies=[{"name": "random"}])
    assert strategies.leading == "random"
    assert place("review", 0.9) == place("review", 0.1)


def test_another_policy_brings_another_order_by_itself(tmp_path: Path) -> None:
    studio = FakeStudio()
    with serving(tmp_path, tasks=["detection"], studio=studio.client(), calibration_share=0.001) as served:
        for shade in range(6):
            studio.add_task(f"{shade}.png", picture(40 * shade))
        served.loop.store.studio.attach("detection", 1, "tester", utc_now())

        def ours() -> list[str]:
            return served.loop.standing("detection", 9)[1]

        def theirs() -> list[str | None]:
            return [served.loop.store.studio.item_of("detection", task) for task in studio.queue()]

        eventually(lambda: len(theirs()) == 6 and theirs() == ours())
        before = ours()
        served.deployment.adopt({"strategies": [{"name": "random"}]}, None, "tester")
        assert ours() != before
        eventually(lambda: theirs() == ours())
