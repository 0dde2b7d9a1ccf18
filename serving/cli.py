"""The ``prelabel`` command: each verb is a parse, one call and a print."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from models.errors import InvalidInput, NotFound, PrelabelError
from models.records import explain
from models.tasks import parse_task
from models.versions import read_version
from serving.loop import Loop, utc_now
from serving.settings import Settings

ACTOR = "cli"

app = typer.Typer(
    help="Models pre-annotate and say how unsure they are; people see only what needs them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tokens_app = typer.Typer(help="Make, list and revoke API tokens.", no_args_is_help=True)
app.add_typer(tokens_app, name="token")
models_app = typer.Typer(
    help="List the versions of every task and which of them serve, or import a model.", invoke_without_command=True
)
app.add_typer(models_app, name="models")
datasets_app = typer.Typer(invoke_without_command=True)
app.add_typer(datasets_app, name="datasets")
studio_app = typer.Typer(help="Attach a project of Label Studio, or take over what it has.", no_args_is_help=True)
app.add_typer(studio_app, name="label-studio")
out = Console(soft_wrap=True, width=400)  # tables keep whole names; the terminal wraps

Database = Annotated[str | None, typer.Option("--db", help="SQLite file or PostgreSQL URL")]
TaskName = Annotated[str, typer.Argument(help="asr, detection or lane")]
Data = Annotated[list[str] | None, typer.Option(help="FORMAT:ROOT[:SPLIT], as often as needed")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    db: Database = None,
) -> None:
    """Start the service."""
    from serving.service import serve as start

    start(_settings(host=host, port=port, database_url=db))


@app.command()
def demo(
    scenes: Annotated[int, typer.Option(min=10, help="road scenes to render")] = 60,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seed: int = 0,
    db: Database = None,
) -> None:
    """Watch the loop turn on rendered road scenes, with a simulated annotator."""
    from serving.demo import demo as turn

    turn(_settings(database_url=db), Console(), scene_count=scenes, rounds=rounds, seed=seed)


@app.command()
def annotate(
    task: TaskName,
    source: Annotated[str, typer.Argument(help="folder, glob, file or JSON-lines manifest")],
    to: Annotated[Path, typer.Option("--out", help="JSON-lines file to append to")],
    model: Annotated[str | None, typer.Option(help="version to ask; default: the serving one")] = None,
    db: Database = None,
) -> None:
    """Pre-annotate files without a server; goes on where it stopped. Exit code 1 when a file could not be read."""
    from serving.batch import annotate as run
    from serving.unstored import unstored

    name, settings = parse_task(task), _settings(database_url=db)
    loop = Loop.open(settings)
    version = loop.version(model) if model else loop.serving(name)
    if version is None or version.task != name:
        raise NotFound(f"annotate {name}: expected a version of that task, got {model or 'none that serves'}")
    counts = run(name, source, to, unstored(read_version(version.folder), settings))
    out.print(str(counts))
    raise typer.Exit(counts.exit_code)


@app.command()
def train(
    task: TaskName,
    data: Data = None,
    held_out: Annotated[list[str] | None, typer.Option(help="data to measure the result on")] = None,
    init: Annotated[str | None, typer.Option(help="the version to start from, or LIBRARY:MODEL[:FILE]")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    notes: Annotated[str, typer.Option(help="words for the model card: the data and its licences")] = "",
    runs: Annotated[Path | None, typer.Option(help="folder of checkpoints; default: below the data folder")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="folder for the version, instead of the store")] = None,
    db: Database = None,
) -> None:
    """Train a candidate: on data sets or, without --data, from the serving version on the store's corrections."""
    from serving.training import Request, train_candidate

    request = Request(
        task=parse_task(task),
        data=tuple(data or ()),
        held_out=tuple(held_out or ()),
        init=init,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        notes=notes,
    )
    settings = _settings(database_url=db)
    version = train_candidate(request, Loop.open(settings), settings, ACTOR, runs=runs, out=to)
    out.print(_table(("metric", "value"), [(name, str(value)) for name, value in version.metrics.items()]))
    out.print(f"{version.name} in {version.folder}")


@app.command()
def evaluate(
    task: TaskName,
    to: Annotated[Path, typer.Option("--out", help="folder for report.json, report.html and items.parquet")],
    data: Data = None,
    model: Annotated[str | None, typer.Option(help="version or FILE.onnx; default: the serving version")] = None,
    against: Annotated[str | None, typer.Option(help="version or FILE.onnx to compare with, item by item")] = None,
    require: Annotated[list[str] | None, typer.Option(help="such as 'wer<=0.1', as often as needed")] = None,
    db: Database = None,
) -> None:
    """Measure a model on labelled data; goes on where it stopped. Exit code 1 when a required threshold is missed."""
    from models.report.lines import shown
    from serving.evaluation import Request, overview
    from serving.evaluation import evaluate as run

    settings = _settings(database_url=db)
    request = Request(parse_task(task), tuple(data or ()), model, against, tuple(require or ()))
    report = run(request, Loop.open(settings), settings, to, utc_now())
    out.print(_table(*overview(report)))
    missed = [one for one in report.thresholds if not one.met]
    for one in missed:
        out.print(f"missed: {one.wish}, got {shown(one.value)}")
    out.print(f"{to / 'report.html'}")
    raise typer.Exit(1 if missed else 0)


@app.command()
def simulate(
    task: TaskName,
    to: Annotated[Path, typer.Option("--out", help="folder for report.json, report.html and the work until then")],
    data: Data = None,
    held_out: Annotated[list[str] | None, typer.Option(help="unseen data to measure models on")] = None,
    model: Annotated[str | None, typer.Option(help="the first version; default: the serving one")] = None,
    starter: Annotated[bool, typer.Option("--starter", help="the first version is the one that came along")] = False,
    rounds: Annotated[int, typer.Option(min=1, max=12, help="each as long as all before it together")] = 5,
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    epochs: Annotated[int, typer.Option("--epochs-per-round", min=1)] = 4,
    retrain: Annotated[bool, typer.Option(help="train a candidate after each round")] = True,
    learn_until: Annotated[
        float, typer.Option(help="share labelled after which a version may earn its promise")
    ] = 0.25,
    mistakes: Annotated[float, typer.Option(help="share of items in which the simulated annotator slips")] = 0.01,
    limit: Annotated[int | None, typer.Option(min=1, help="the most items, drawn at random")] = None,
    groups: Annotated[bool, typer.Option(help="items of a speaker or clip are no independent evidence")] = True,
    db: Database = None,
) -> None:
    """Measure what labels cost: the loop on known labels beside simpler ways of working; goes on where it stopped."""
    from serving.simulate import Request, overview
    from serving.simulate import simulate as run
    from serving.simulate import starter as starter_of

    if starter and model:
        raise InvalidInput(f"simulate: expected --starter or --model, got both, --model {model}")
    settings, name = _settings(database_url=db), parse_task(task)
    request = Request(
        task=name,
        data=tuple(data or ()),
        held_out=tuple(held_out or ()),
        model=starter_of(name) if starter else model,
        rounds=rounds,
        seeds=seeds,
        epochs=epochs if retrain else 0,
        learn_until=learn_until,
        mistakes=mistakes,
        limit=limit,
        groups=groups,
    )
    report = run(request, Loop.open(settings), settings, to, utc_now())
    out.print(_table(*overview(report)))
    out.print(f"{to / 'report.html'}")


@app.command()
def suspects(
    task: TaskName,
    to: Annotated[Path, typer.Option("--out", help="FILE.csv or FILE.jsonl, every label in it, worst first")],
    data: Data = None,
    model: Annotated[str | None, typer.Option(help="version or FILE.onnx; default: the serving version")] = None,
    db: Database = None,
) -> None:
    """Rank labels by how probably they are wrong: those of data sets or, without --data, those in the store."""
    from serving.suspects import Request
    from serving.suspects import suspects as run

    settings = _settings(database_url=db)
    ranked = run(Request(parse_task(task), tuple(data or ()), model), Loop.open(settings), settings, to)
    worst = [(str(one.rank), f"{one.suspicion.score:.3f}", one.item.id, one.suspicion.reason) for one in ranked[:10]]
    out.print(_table(("rank", "score", "item", "why it may be wrong"), worst))
    out.print(f"{len(ranked)} labels in {to}")


@models_app.callback()
def models(context: typer.Context, db: Database = None) -> None:
    """List the versions of every task and which of them serve, or import a model."""
    if context.invoked_subcommand is not None:
        return
    versions = Loop.open(_settings(database_url=db)).versions()
    rows = [
        (v.task, v.name, v.state, f"{v.created_at:%Y-%m-%d %H:%M}", v.parent or "", _quality(v.metrics))
        for v in versions
    ]
    out.print(_table(("task", "version", "state", "made", "from", "quality"), rows))


@models_app.command("import")
def import_model(
    task: TaskName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="an ONNX file, a version's folder, a checkpoint, LIBRARY:MODEL[:FILE] or whisper:SIZE"
        ),
    ],
    declare: Annotated[Path | None, typer.Option(help="TOML that says what the file does not")] = None,
    name: Annotated[str, typer.Option(help="words for the model card: whose model it is, its licence")] = "",
    db: Database = None,
) -> None:
    """Make a candidate of a model that others made."""
    from serving.importing import import_candidate

    settings = _settings(database_url=db)
    version = import_candidate(parse_task(task), source, declare, name, Loop.open(settings), settings, ACTOR)
    out.print(f"{version.name} in {version.folder}")


@app.command()
def promote(
    version: str,
    force: Annotated[bool, typer.Option(help="even if it is worse on the gold items")] = False,
    db: Database = None,
) -> None:
    """Let a version serve, if it is no worse than the serving one on the gold items."""
    from serving.promotion import quality_of

    promotion = Loop.open(_settings(database_url=db)).promote(version, ACTOR, force, quality_of)
    out.print(f"{promotion.version} serves {promotion.task} now; {promotion.comparison.note or 'nothing to compare'}")


@app.command()
def rollback(task: TaskName, db: Database = None) -> None:
    """Let the version before serve again."""
    promotion = Loop.open(_settings(database_url=db)).rollback(parse_task(task), ACTOR)
    out.print(f"{promotion.version} serves {promotion.task} again")


@app.command()
def route(
    task: TaskName,
    policy: Annotated[Path, typer.Option(help="TOML file of what to decide by instead of the settings")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be so; nothing is changed")] = False,
    db: Database = None,
) -> None:
    """Say what would go where under another policy, and what it would cost people."""
    from serving.dry_run import dry_run as decide
    from serving.dry_run import read_policy

    if not dry_run:
        raise InvalidInput("route: expected --dry-run; the service decides by its settings, so put the policy there")
    settings = _settings(database_url=db)
    asked = read_policy(policy, settings)
    store, named = Loop.open(settings).store, parse_task(task)
    for name, chosen in (("settings", settings), (asked.version, asked.over(settings))):
        outcome = decide(store, chosen, named, name, utc_now)
        promise = outcome.promise
        held = f"accepts scores up to {promise['threshold']:.4g}" if promise["holds"] else promise["reason"]
        table = Table("decision", "items", "human s", "for example", title=f"{name}: {held}", title_justify="left")
        for where, n in sorted(outcome.items.items()):
            table.add_row(where, str(n), f"{outcome.seconds.get(where, 0):.0f}", outcome.examples[where])
        out.print(table)
        budget = asked.budget_s_per_day
        days = f", {outcome.total_s / budget:.1f} days at {budget:g} s a day" if budget else ""
        out.print(f"{name}: {sum(outcome.items.values())} open items, {outcome.total_s:.0f} human seconds{days}")


@app.command()
def export(
    task: TaskName,
    to: Annotated[Path, typer.Option("--out", help="new folder for the data set")],
    name: Annotated[str, typer.Option("--format", help="a format that is written; see `prelabel datasets`")],
    accepted: Annotated[bool, typer.Option(help="also labels that were accepted unseen")] = False,
    consensus: Annotated[bool, typer.Option(help="what people agree on where several labelled an item")] = False,
    db: Database = None,
) -> None:
    """Write the labels that people gave as a data set."""
    from serving.labels import export as write

    loop = Loop.open(_settings(database_url=db))
    written = write(loop, parse_task(task), name, to, accepted=accepted, consensus=consensus)
    out.print(f"{written} items in {to}")


@app.command()
def convert(
    data: Annotated[str, typer.Argument(help="FORMAT:ROOT[:SPLIT]")],
    to: Annotated[Path, typer.Option("--out", help="new folder for the data set")],
    name: Annotated[str, typer.Option("--to", help="a format of the same task that is written")],
) -> None:
    """Write a data set anew in another format."""
    from serving.labels import convert as write

    out.print(f"{write(data, name, to)} items in {to}")


@datasets_app.callback()
def list_formats(context: typer.Context) -> None:
    """List the formats of data sets, or fetch a public data set."""
    from models.datasets import FORMATS
    from serving.download import names

    if context.invoked_subcommand is None:
        rows = [
            (name, found.task, "yes" if found.read else "", "yes" if found.write else "", found.layout)
            for name, found in FORMATS.items()
        ]
        out.print(_table(("format", "task", "read", "written", "files below ROOT"), rows))
        out.print(f"To fetch with `prelabel datasets download NAME`: {', '.join(names())}")


@datasets_app.command("download")
def download_dataset(
    name: Annotated[str, typer.Argument(help="a public data set; an unknown name lists those there are")],
    to: Annotated[Path | None, typer.Option("--out", help="new folder for it; default: its name, here")] = None,
) -> None:
    """Fetch a public data set, check and unpack it; goes on where it stopped."""
    from serving.download import download, source

    out.print(f"read it as {download(source(name), to or Path(name))}")


@studio_app.command("attach")
def attach_project(
    project: Annotated[int, typer.Option(min=1, help="the project's number in Label Studio")],
    task: Annotated[str, typer.Option(help="asr, detection or lane")],
    url: Annotated[str | None, typer.Option(help="Label Studio's address, instead of the setting's")] = None,
    service: Annotated[str | None, typer.Option(help="where Label Studio reaches this service")] = None,
    db: Database = None,
) -> None:
    """Connect a project with the running service. Exit code 1 when a medium could not be read."""
    from models.progress import progress_bar
    from serving.label_studio.client import connect, require
    from serving.label_studio.projects import attach

    name, settings = parse_task(task), _settings(database_url=db, label_studio_url=url)
    here = service or f"http://{settings.host}:{settings.port}"
    with progress_bar(Console(stderr=True)) as bar:
        shown = bar.add_task("predictions", total=None)
        attached = attach(
            Loop.open(settings),
            require(connect(settings)),
            name,
            project,
            here,
            ACTOR,
            lambda done, total: bar.update(shown, completed=done, total=total),
        )
    for why in attached.unread:
        out.print(f"unread: {why}")
    out.print(f"project {project}: {attached.stored} tasks have a prediction of {attached.version}, which it shows now")
    raise typer.Exit(1 if attached.unread else 0)


@studio_app.command("sync")
def sync_projects(db: Database = None) -> None:
    """Take over what no webhook told of every attached project. Exit code 1 when something could not be."""
    from serving.label_studio.projects import sync

    settings = _settings(database_url=db)
    found, waiting, dead = sync(Loop.open(settings), settings)
    rows = [(f"{one.task} {one.project}", *map(str, (got.new, got.known, got.withdrawn, len(got.failed))))
            for one, got in found]  # fmt: skip
    out.print(_table(("project", "new", "known", "withdrawn", "failed"), rows))
    for why in [why for _, got in found for why in got.failed]:
        out.print(f"failed: {why}")
    out.print(f"events: {waiting} wait, {dead} could not be worked on")
    raise typer.Exit(1 if dead or any(got.failed for _, got in found) else 0)


@tokens_app.command("make")
def make_token(
    name: str,
    scope: Annotated[list[str], typer.Option(help="annotate, correct, promote or admin; as often as needed")],
    db: Database = None,
) -> None:
    """Make a token and print its secret, which is shown this once."""
    from serving import tokens

    out.print(tokens.make_token(Loop.open(_settings(database_url=db)).store, name, scope, ACTOR, utc_now()))


@tokens_app.command("list")
def list_tokens(db: Database = None) -> None:
    """List every token and what it may do."""
    from serving import tokens

    known = tokens.list_tokens(Loop.open(_settings(database_url=db)).store)
    rows = [(t.name, ", ".join(t.scopes), f"{t.created_at:%Y-%m-%d %H:%M}", _when(t.revoked_at)) for t in known]
    out.print(_table(("name", "scopes", "made", "revoked"), rows))


@tokens_app.command("revoke")
def revoke_token(name: str, db: Database = None) -> None:
    """End a token at once."""
    from serving import tokens

    tokens.revoke_token(Loop.open(_settings(database_url=db)).store, name, ACTOR, utc_now())
    out.print(f"{name} is revoked")


def main() -> None:
    """Runs the command; a mistake of the user is one line on stderr and exit 2."""
    try:
        app()
    except PrelabelError as error:
        sys.stderr.write(f"prelabel: {error}\n")
        sys.exit(2)


def _settings(**given: object) -> Settings:
    """The environment's settings, overridden by what the command line gives."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise InvalidInput(f"settings: {explain(error)}") from error


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    return table


def _quality(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['quality']:.3f}" if "quality" in metrics else "unmeasured"


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
