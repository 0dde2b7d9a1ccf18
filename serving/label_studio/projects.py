"""A project becomes one of ours: connected, its predictions stored, its queue in our order; and is let go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx

from models.errors import InvalidInput, NotFound, PrelabelError
from models.records import Task
from serving import tokens
from serving.errors import Unavailable
from serving.label_studio.client import PAGE, Client, StudioTask, connect, require
from serving.label_studio.config import control_of
from serving.label_studio.corrections import TOOL, Corrections, Reconciled
from serving.label_studio.media import Media
from serving.label_studio.ordering import Ordering
from serving.label_studio.planting import OpenTasks, plant
from serving.label_studio.pushing import Push
from serving.label_studio.videos import Videos
from serving.loop import Actor, Loop, utc_now
from serving.settings import Settings
from serving.store.studio import Project

Progress: TypeAlias = Callable[[int, int], None]  # (tasks done, of so many)

PREDICT_S = 300.0


@dataclass(frozen=True)
class Attached:
    """What attaching came to: so many tasks have a prediction of the version; why some of these are empty; why others
    have none yet; how many of the tasks are gold items that were planted just now."""

    version: str
    stored: int
    unread: tuple[str, ...]
    left_out: tuple[str, ...]
    planted: int


def attach(
    loop: Loop,
    client: Client,
    settings: Settings,
    task: Task,
    project_id: int,
    service: str,
    actor: Actor,
    progress: Progress,
) -> Attached:
    """Connects the service as a backend of a project; doing it again goes on where it stopped.

    Raises:
        InvalidInput: the configuration is none for the task, or one of the two does not reach the other.
        NotAllowed, NotFound, Unavailable: Label Studio says so.
        Refused: it did not store what it was given.
    """
    project = client.project(project_id)
    backend = f"{service.rstrip('/')}/label-studio/{task}"
    secret = _secret(loop, project_id, task, actor)
    with httpx.Client(timeout=PREDICT_S, trust_env=False, auth=("prelabel", secret) if secret else None) as http:
        version = _connected(http, client, project, backend, secret)

        def predict(tasks: list[StudioTask]) -> list[dict[str, Any]]:
            told = ("id", "data", "meta")
            plain = [{name: one.get(name) for name in told} | {"project": project_id} for one in tasks]
            asked = {"tasks": plain, "project": str(project_id), "label_config": project["label_config"]}
            return list(_asked(http, f"{backend}/predict", asked)["results"])

        control, shown = control_of(project["label_config"], task), Project(task, project_id, version)
        total = int(project.get("task_number") or 0)
        push = Push(client, project_id, control, version, predict, lambda done: progress(done, max(done, total)))
        ordering, open_tasks = Ordering(loop, client, settings), OpenTasks(project["label_config"])
        for page in client.tasks(project_id):
            ordering.see(shown, push.page(page))
            open_tasks.see(page)
        planted = plant(loop, client, settings, task, project, open_tasks)
        for start in range(0, len(planted), PAGE):
            ordering.see(shown, push.page(client.tasks_of(project_id, planted[start : start + PAGE])))
    client.show_version(project_id, version)
    loop.store.studio.attach(task, project_id, actor, utc_now())
    loop.store.studio.in_step(shown, version)
    ordering.arrange(shown)
    left_out = tuple(f"task {number}: {why}" for number, why in push.left_out.items())
    return Attached(version, push.stored, push.unread, left_out, len(planted))


def _connected(http: httpx.Client, client: Client, project: Mapping[str, Any], backend: str, secret: str | None) -> str:
    """Connects a project with a backend of ours, and its webhook too; returns the version that answers there."""
    number = int(project["id"])
    given = {"project": str(number), "schema": project["label_config"]}
    version = str(_asked(http, f"{backend}/setup", given)["model_version"])
    client.keep_backend(number, backend, version, secret)
    if client.sign_webhooks(number, backend, secret) == 0:
        client.add_webhook(number, backend, secret)
    return version


@dataclass(frozen=True)
class Synced:
    """What came of taking over what projects have: of each; how many gold items were planted; how many events wait,
    and how many could not be worked on."""

    projects: tuple[tuple[Project, Reconciled], ...]
    planted: int
    waiting: int
    dead: int


def sync(loop: Loop, settings: Settings) -> Synced:
    """Takes over what every attached project has, and plants gold items where the policy's share of them is missing.

    Raises:
        InvalidInput: no Label Studio is set up, or no project is attached.
        NotAllowed, Unavailable: Label Studio says so.
    """
    client = require(connect(settings))
    projects = loop.store.studio.projects()
    if not projects:
        raise InvalidInput("label-studio sync: expected an attached project, got none; see `label-studio attach`")
    media = Media(settings, client)
    corrections = Corrections(loop, media, Videos(loop, media, settings), client, settings)
    found, planted = list[tuple[Project, Reconciled]](), 0
    for one in projects:
        try:
            told = client.project(one.project)
        except NotFound as error:  # it was deleted there
            found.append((one, Reconciled(failed=(str(error),))))
            continue
        look, open_tasks = corrections.look(one.task, told), OpenTasks(told["label_config"])
        for page in client.tasks(one.project):
            look.see(page)
            open_tasks.see(page)
        found.append((one, look.end()))
        planted += len(plant(loop, client, settings, one.task, told, open_tasks))
    return Synced(tuple(found), planted, *loop.store.inbox.counts(TOOL))


def detach(loop: Loop, client: Client | None, task: Task, project_id: int, actor: Actor) -> str | None:
    """Forgets a project, also one that is gone, revokes its token and takes its webhook away; its labels stay, and so
    does the backend there. Returns why the webhook is there still, if it may be.

    Raises:
        NotFound: it is not attached.
    """
    loop.store.studio.detach(task, project_id, actor, utc_now())
    for token in _tokens_of(loop, task, project_id):
        loop.store.tokens.revoke(token, actor, utc_now())
    try:
        require(client).remove_webhook(project_id, f"/label-studio/{task}/webhook")
    except NotFound:  # it was deleted there
        return None
    except PrelabelError as error:
        return str(error)
    return None


def _tokens_of(loop: Loop, task: Task, project: int) -> list[str]:
    """The names of those with which Label Studio may ask about a project."""
    known = loop.store.tokens.all()
    return [one.name for one in known if one.name.startswith(_named(task, project)) and one.revoked_at is None]


def _named(task: Task, project: int) -> str:
    return f"label-studio {task} {project} "


def _secret(loop: Loop, project: int, task: Task, actor: Actor) -> str | None:
    """A new token for Label Studio in place of its former one; none where the service is open."""
    if not loop.store.tokens.all():
        return None
    former, now = _tokens_of(loop, task, project), utc_now()
    name = f"{_named(task, project)}{now:%Y-%m-%d %H:%M:%S.%f}"
    secret = tokens.make_token(loop.store, name, ("annotate", "correct"), actor, now)
    for token in former:
        loop.store.tokens.revoke(token, actor, now)
    return secret


def _asked(http: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of our own service.

    Raises:
        InvalidInput: it refuses, with its words.
        Unavailable: nothing answers there.
    """
    try:
        answer = http.post(url, json=body)
        told = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"{url}: expected the service of prelabel to answer, got {error}") from error
    if not answer.is_success:
        raise InvalidInput(f"{url}: {told.get('error', {}).get('message', answer.text)}")
    return dict(told)
