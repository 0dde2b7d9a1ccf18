"""The order of a project's queue: as ours, told by the scores of predictions, of which Label Studio serves the lowest.

What our queue hands out next has the first places, in its order, whatever mix of strategies picks it. Behind these
stand the other tasks by their doubt, and last those that the promise covers.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from models.errors import NotFound
from models.records import Task
from selection.routing import DRAWN, draw
from serving.label_studio.client import Client, StudioTask
from serving.label_studio.planting import PURPOSE, among
from serving.loop import Answer, Loop
from serving.settings import Settings
from serving.store.studio import Project

HEAD = 100  # tasks whose places are exact; whenever people have worked, the places move on
BEHIND = 0.5  # the scores of those behind begin here
ACCEPTED = 0.9  # and those of accepted ones here; Label Studio shows a score as percent, so none is above 1


@dataclass(frozen=True)
class Told:
    """What Label Studio has of a task: its prediction's number and score; ``behind`` is its score behind the first."""

    prediction: int
    score: float
    behind: float
    items: tuple[str, ...]


class Ordering:
    """Keeps the queues of projects in our order. For one thread."""

    def __init__(self, loop: Loop, client: Client, settings: Settings) -> None:
        self._loop = loop
        self._client = client
        self._settings = settings
        self._told: dict[tuple[Task, int], dict[int, Told]] = {}
        self._policies: dict[tuple[Task, int], str] = {}  # by which the queues were ordered

    def is_old(self, project: Project) -> bool:
        """Whether another policy is in force by now than that by which a project's queue was ordered."""
        return self._policies.get((project.task, project.project)) != self._loop.policies.of(project.task).version

    def see(self, project: Project, page: Sequence[StudioTask]) -> None:
        """Learns which predictions of its version some tasks of a project have."""
        told = self._told.setdefault((project.task, project.project), {})
        for studio_task in page:
            number = int(studio_task["id"])
            ours = [one for one in studio_task["predictions"] if one.get("model_version") == project.version]
            items = self._loop.store.studio.items_of(project.task, number)
            answers = [self._loop.answered(item_id, project.task, project.version or "") for item_id in items]
            told.pop(number, None)
            if ours and (known := [self._loop.for_tools(answer) for answer in answers if answer is not None]):
                behind = min(behind_head(one, self._loop, self._settings) for one in known)
                told[number] = Told(int(ours[-1]["id"]), float(ours[-1]["score"] or 0), behind, items)

    def keep(self, project: Project, numbers: Set[int]) -> None:
        """Forgets every task but these."""
        told = self._told.get((project.task, project.project), {})
        self._told[project.task, project.project] = {number: told[number] for number in told.keys() & numbers}

    def arrange(self, project: Project) -> int:
        """Tells the scores that are not as our queue is now, and returns how many these were. Tasks that are gone there
        have no place any more.

        Raises:
            NotAllowed, Unavailable: Label Studio says so.
        """
        told = self._told.get((project.task, project.project), {})
        self._policies[project.task, project.project] = self._loop.policies.of(project.task).version
        scores = head_scores(*self._next(project.task, told))
        changed = 0
        for number, one in list(told.items()):
            score = _score(one, scores)
            if score == one.score:
                continue
            try:
                self._client.change_prediction(one.prediction, score=score)
                told[number] = replace(one, score=score)
                changed += 1
            except NotFound:
                del told[number]
        return changed

    def _next(self, task: Task, told: Mapping[int, Told]) -> tuple[int, list[str]]:
        """How many tasks people had, and the items that come next: those of our queue, and planted ones among them."""
        had, items = self._loop.standing(task, HEAD)
        share, gold = self._loop.policies.of(task).planted_share, self._loop.store.gold.chosen(task, labelled=True)
        planted = {number: one.items[0] for number, one in told.items() if share and gold.issuperset(one.items)}
        done = self._loop.store.studio.annotated(task, list(planted))
        left = {item_id for number, item_id in planted.items() if number not in done}
        by_chance = sorted(left, key=lambda item_id: draw(item_id, self._settings.seed, PURPOSE))
        had += len(done)
        return had, among(had, items, by_chance, lambda place: draw(str(place), self._settings.seed, PURPOSE) < share)


def head_scores(had: int, items: Sequence[str]) -> Mapping[str, float]:
    """Scores for the items that come next, by id. Each place has its own score for ever: when people had the first
    item, the others keep theirs."""
    return {item_id: BEHIND * (1 - 1000 / (1000 + had + place)) for place, item_id in enumerate(items)}


def behind_head(answer: Answer, loop: Loop, settings: Settings) -> float:
    """The score of a task behind those that come next: doubtful items first and accepted ones last.

    An item that is checked at random has its place by a draw of its own, for whom people look at to keep the promise
    honest must not depend on any score.
    """
    said = answer.preannotation
    doubt, leading = said.uncertainty.score, loop.policies.of(said.task).leading
    if leading == "per-second":
        doubt = said.uncertainty.p_error / max(said.uncertainty.seconds, 1.0)
    if answer.decision.decision == "accept":
        return round(ACCEPTED + (1 - ACCEPTED) * (1 - doubt), 6)
    by_chance = answer.decision.decision in DRAWN or leading == "random"
    sure = draw(said.item_id, settings.seed, "label-studio") if by_chance else 1 - doubt
    return round(BEHIND + (ACCEPTED - BEHIND) * sure, 6)


def _score(one: Told, head: Mapping[str, float]) -> float:
    """A video stands where the first of its stills does."""
    return min((head[item_id] for item_id in one.items if item_id in head), default=one.behind)
