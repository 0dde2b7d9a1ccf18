"""Gold items among the tasks of a project, whose labels are known: what annotators say of them measures these.

They are uploaded, and look like any other task: they are named as others are, their predictions are the model's, told
as if nobody knew the label, and have places in the order among the others. Label Studio gives each to as many people as
it gives any.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from models.datasets.output import suffix_of
from models.errors import NotFound
from models.records import Task
from selection.routing import draw
from serving.label_studio.client import Client, StudioTask
from serving.label_studio.config import control_of, data_keys
from serving.loop import Loop
from serving.server_log import log
from serving.settings import Settings

PURPOSE = "label-studio planted"  # of the draws


class OpenTasks:
    """The tasks of a project that nobody has finished, as far as they were read: what the medium of each is called."""

    def __init__(self, label_config: str) -> None:
        self._keys = data_keys(label_config)
        self.names: dict[int, str] = {}

    def see(self, page: Sequence[StudioTask]) -> None:
        """Learns of some tasks."""
        for one in page:
            self.names.pop(int(one["id"]), None)
            if not one["is_labeled"]:
                self.names[int(one["id"])] = _name(" ".join(str(one["data"].get(key)) for key in self._keys))


def plant(
    loop: Loop, client: Client, settings: Settings, task: Task, project: Mapping[str, Any], open_tasks: OpenTasks
) -> list[int]:
    """Adds gold items until they are the policy's share of a project's open tasks, and returns the numbers of the tasks
    that were added.

    Only chosen items with a label that no task was about yet: nobody there had them, or gave the label. None of videos,
    nor where tasks have more to show than a medium.

    Raises:
        InvalidInput: the configuration is none for the task.
        NotAllowed, NotFound, Unavailable: Label Studio says so.
    """
    share, studio = loop.policies.of(task).planted_share, loop.store.studio
    gold = loop.store.gold.chosen(task, labelled=True) if share else frozenset()
    if not gold:
        return []
    label_config, number = project["label_config"], int(project["id"])
    control = control_of(label_config, task)
    if control.is_video or data_keys(label_config) != {control.key}:
        return []
    planted = len(studio.of_gold(task) & open_tasks.names.keys())
    missing = int((len(open_tasks.names) - planted) * share / (1 - share)) - planted
    by_chance = sorted(gold, key=lambda item_id: draw(item_id, settings.seed, PURPOSE))
    fresh = (item_id for item_id in by_chance if not studio.is_task(task, item_id))
    names = [name for _, name in sorted(open_tasks.names.items())]
    added = list[int]()
    for item_id in islice(fresh, max(0, missing)):
        name = names[int(draw(item_id, settings.seed, "label-studio name") * len(names))]
        added += _add(loop, client, task, number, control.key, item_id, name)
    return added


def _name(uri: str) -> str:
    """What a medium is called, without a suffix and without what Label Studio puts before it."""
    path = re.split(r"[?#]", uri, maxsplit=1)[0]  # whatever the data hold, it need be no uri
    return re.sub(r"^[0-9a-f]{8}-", "", PurePosixPath(path).stem)


def _add(loop: Loop, client: Client, task: Task, project: int, key: str, item_id: str, name: str) -> list[int]:
    """A task about an item, which is called as another is: its own name might tell where it came from. None where the
    medium is gone."""
    try:
        path = loop.path(loop.item(item_id))
    except NotFound as error:
        log.warning("a gold item is not planted in Label Studio's project %d: %s", project, error)
        return []
    number = client.upload(project, name + suffix_of(path), path.read_bytes())
    loop.store.studio.remember(task, number, str(client.task(number)["data"][key]), item_id)
    return [number]


def among(start: int, items: Sequence[str], planted: Sequence[str], is_planted: Callable[[int], bool]) -> list[str]:
    """Items in their order, those that are planted at the places at which it is their turn; the first place is number
    ``start``. Behind the last of the others none is planted: among nothing else they would stand out."""
    laid, left = list[str](), list(reversed(planted))
    for item_id in items:
        while left and is_planted(start + len(laid)):
            laid.append(left.pop())
        laid.append(item_id)
    return laid
