"""The ``prelabel`` command: each verb is a parse, one call and a print."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from models.counting import counted
from models.errors import InvalidInput, PrelabelError
from models.records import TASKS
from models.tasks import parse_task
from models.versions import read_version
from serving.loop import Loop, utc_now
from serving.verbs import cvat, datasets, gold, label_studio, models, policies, tokens, webhooks
from serving.verbs.console import ACTOR, Data, Database, TaskName, out, settings_of, table

app = typer.Typer(
    help="Models pre-annotate and say how unsure they are; people see only what needs them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens.app, name="token")
app.add_typer(models.app, name="models")
app.add_typer(policies.app, name="policy")
app.add_typer(gold.app, name="gold")
app.add_typer(datasets.app, name="datasets")
app.add_typer(label_studio.app, name="label-studio")
app.add_typer(cvat.app, name="cvat")
app.add_typer(webhooks.app, name="webhook")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    db: Database = None,
) -> None:
    """Start the service."""
    from serving.service import serve as start

    start(settings_of(host=host, port=port, database_url=db))


@app.command()
def demo(
    scenes: Annotated[int, typer.Option(min=10, help="road scenes to render")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="of labelling, each with a training")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="of the scenes")] = 0,
    db: Database = None,
) -> None:
    """Watch the loop turn on rendered road scenes, with a simulated annotator."""
    from serving.demo import demo as turn

    turn(settings_of(database_url=db), Console(), scene_count=scenes, rounds=rounds, seed=seed)


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

    name, settings = parse_task(task), settings_of(database_url=db)
    version = Loop.open(settings).versions.of_task(name, model)
    counts = run(name, source, to, unstored(read_version(version.folder, version.name), settings))
    out.print(str(counts))
    raise typer.Exit(counts.exit_code)


@app.command()
def register(
    task: TaskName,
    source: Annotated[str, typer.Argument(help="folder, glob, file or JSON-lines manifest")],
    group: Annotated[
        str | None, typer.Option(help="speaker, clip or sequence of those that the manifest has none of")
    ] = None,
    language: Annotated[str | None, typer.Option(help="the one spoken in those that the manifest has none of")] = None,
    due: Annotated[str | None, typer.Option(help="when the others' labels are needed: 2026-12-01T12:00Z")] = None,
    db: Database = None,
) -> None:
    """Register files for labelling, where they lie; a running service pre-annotates them. Exit code 1 when a file could
    not be read."""
    from models.recordings import stretch
    from serving.intake import Registration, parse_due
    from serving.sources import find_media

    name, by = parse_task(task), parse_due(due) if due else None
    media = find_media(name, source)
    entries = [
        Registration(uri, name, stretch(uri) or one.path, one.group or group, one.language or language, one.due or by)
        for one in media
        for uri in (str(one.path),)
    ]
    registered = Loop.open(settings_of(database_url=db)).register(entries, ACTOR)
    out.print(f"{registered.new} new, {registered.known} known, {len(registered.failed)} failed")
    for _, why in registered.failed:
        out.print(why)
    raise typer.Exit(1 if registered.failed else 0)


@app.command()
def train(
    task: TaskName,
    data: Data = None,
    held_out: Annotated[list[str] | None, typer.Option(help="data to measure the result on")] = None,
    unseen: Annotated[
        list[str] | None, typer.Option(help="data that calibrates the result; default: a share of --data")
    ] = None,
    init: Annotated[str | None, typer.Option(help="the version to start from, or LIBRARY:MODEL[:FILE]")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="passes over the data; default: the recipe's")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="examples a step; default: the recipe's")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="its peak, above 0; default: the recipe's")] = None,
    keep: Annotated[float, typer.Option(help="share of the start's weights in the result, below 1")] = 0.0,
    strong: Annotated[
        bool, typer.Option("--strong-augmentation", help="change examples more: for other light, or other speakers")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="of every random draw")] = 0,
    notes: Annotated[str, typer.Option(help="words for the model card: the data and its licences")] = "",
    runs: Annotated[Path | None, typer.Option(help="folder of checkpoints; default: below the data folder")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="folder for the version, instead of the store")] = None,
    db: Database = None,
) -> None:
    """Train a candidate: on data sets or, without --data, from the serving version on the store's corrections."""
    from models.report.lines import measured
    from serving.training import Request, train_candidate

    request = Request(
        task=parse_task(task),
        data=tuple(data or ()),
        held_out=tuple(held_out or ()),
        unseen=tuple(unseen or ()),
        init=init,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        keep=keep,
        strong=strong,
        seed=seed,
        notes=notes,
    )
    settings = settings_of(database_url=db)
    version = train_candidate(request, Loop.open(settings), settings, ACTOR, runs=runs, out=to)
    out.print(table(("metric", "value"), measured(version.metrics)))
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

    settings = settings_of(database_url=db)
    request = Request(parse_task(task), tuple(data or ()), model, against, tuple(require or ()))
    report = run(request, Loop.open(settings), settings, to, utc_now())
    out.print(table(*overview(report)))
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
    from_nothing: Annotated[
        bool, typer.Option("--from-nothing", help="no first version: the first round's labels make one")
    ] = False,
    first_epochs: Annotated[int | None, typer.Option(min=1, help="of that one; default: the recipe's")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=12, help="each as long as all before it together")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="runs of each way of working, for the intervals")] = 5,
    epochs: Annotated[
        int | None, typer.Option("--epochs-per-round", min=1, help="of training after each; default: 4")
    ] = None,
    retrain: Annotated[bool, typer.Option(help="train a candidate after each round")] = True,
    learn_until: Annotated[
        float, typer.Option(help="share labelled after which a version may earn its promise")
    ] = 0.25,
    mistakes: Annotated[float, typer.Option(help="share of items in which the simulated annotator slips")] = 0.01,
    limit: Annotated[int | None, typer.Option(min=1, help="the most items, drawn at random")] = None,
    groups: Annotated[bool, typer.Option(help="items of a speaker or clip are no independent evidence")] = True,
    costs: Annotated[
        Path | None, typer.Option(help="JSON with seconds of the cost model; default: fitted in the store, or assumed")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="TOML file to decide by; default: the settings")] = None,
    db: Database = None,
) -> None:
    """Measure what labels cost: the loop on known labels beside simpler ways of working; goes on where it stopped."""
    from serving.simulate import Request, overview
    from serving.simulate import simulate as run
    from serving.simulate import starter as starter_of

    if starter and model:
        raise InvalidInput(f"simulate: expected --starter or --model, got both, --model {model}")
    if epochs and not retrain:
        raise InvalidInput(f"simulate: expected --epochs-per-round or --no-retrain, got both, {epochs} epochs")
    settings, name = settings_of(database_url=db), parse_task(task)
    request = Request(
        task=name,
        data=tuple(data or ()),
        held_out=tuple(held_out or ()),
        model=starter_of(name) if starter else model,
        rounds=rounds,
        seeds=seeds,
        epochs=(epochs or Request.epochs) if retrain else 0,
        learn_until=learn_until,
        mistakes=mistakes,
        limit=limit,
        groups=groups,
        costs=costs,
        from_nothing=from_nothing,
        first_epochs=first_epochs,
        policy=policy,
    )
    report = run(request, Loop.open(settings), settings, to, utc_now())
    out.print(table(*overview(report)))
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

    settings = settings_of(database_url=db)
    ranked = run(Request(parse_task(task), tuple(data or ()), model), Loop.open(settings), settings, to)
    worst = [(str(one.rank), f"{one.suspicion.score:.3f}", one.item.id, one.suspicion.reason) for one in ranked[:10]]
    out.print(table(("rank", "score", "item", "why it may be wrong"), worst))
    out.print(f"{counted(len(ranked), 'label')} in {to}")


@app.command()
def annotators(
    task: Annotated[str | None, typer.Option(help="asr, detection or lane; default: all of them")] = None,
    db: Database = None,
) -> None:
    """Tell how fast people are and how often right: on gold items, and by what three people or more say together."""
    from serving.opinions import overview

    labelled = Loop.open(settings_of(database_url=db)).labelled
    names = [parse_task(task)] if task else TASKS
    out.print(table(*overview((name, one) for name in names for one in labelled.annotators(name))))


@app.command()
def promote(
    version: str,
    force: Annotated[bool, typer.Option(help="even if it is worse on the gold items")] = False,
    db: Database = None,
) -> None:
    """Let a version serve, if it is no worse than the serving one on the gold items."""
    from serving.promotion import quality_of

    promotion = Loop.open(settings_of(database_url=db)).versions.promote(version, ACTOR, force, quality_of)
    out.print(f"{promotion.version} serves {promotion.task} now; {promotion.comparison.note or 'nothing to compare'}")


@app.command()
def rollback(task: TaskName, db: Database = None) -> None:
    """Let the version before serve again."""
    promotion = Loop.open(settings_of(database_url=db)).versions.rollback(parse_task(task), ACTOR)
    out.print(f"{promotion.version} serves {promotion.task} again")


@app.command()
def route(
    task: TaskName,
    policy: Annotated[Path, typer.Option(help="TOML file of what to decide by instead of what is in force")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be so; nothing is changed")] = False,
    db: Database = None,
) -> None:
    """Say what would go where under another policy, and what it would cost people."""
    from serving.dry_run import dry_run as decide
    from serving.policies import read_policy

    if not dry_run:
        raise InvalidInput("route: expected --dry-run; `prelabel policy adopt` puts a policy in force")
    loop, named = Loop.open(settings_of(database_url=db)), parse_task(task)
    now = loop.policies.of(named)
    for title, chosen in (("in force", now), ("tried", read_policy(policy, loop.policies.default))):
        outcome = decide(loop, named, chosen)
        shown = table(("decision", "items", "human s", "for example", "otherwise"), outcome.rows())
        shown.title, shown.title_justify = f"{title}: {outcome.title}", "left"
        out.print(shown)
        out.print(outcome.summed_up(chosen.budget_s_per_day))


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

    loop = Loop.open(settings_of(database_url=db))
    written = write(loop, parse_task(task), name, to, accepted=accepted, consensus=consensus)
    out.print(f"{counted(written, 'item')} in {to}")


@app.command()
def convert(
    data: Annotated[str, typer.Argument(help="FORMAT:ROOT[:SPLIT]")],
    to: Annotated[Path, typer.Option("--out", help="new folder for the data set")],
    name: Annotated[str, typer.Option("--to", help="a format of the same task that is written")],
) -> None:
    """Write a data set anew in another format."""
    from serving.labels import convert as write

    out.print(f"{counted(write(data, name, to), 'item')} in {to}")


def main() -> None:
    """Runs the command; a mistake of the user, or what the system cannot do, is one line on stderr and exit 2."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal's encoding lacks is told all the same
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except (PrelabelError, OSError) as error:
        _end(str(error))
    except UnicodeEncodeError as error:  # a word of the command line that is to be stored, looked up or written
        _end(f"expected text in UTF-8, got {error.object[error.start - min(error.start, 40) : error.end]!r}")


def _end(why: str) -> NoReturn:
    sys.stderr.write(f"prelabel: {why}\n")
    sys.exit(2)
