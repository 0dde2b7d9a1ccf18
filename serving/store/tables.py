"""The tables of the store.

The migrations write the same tables by hand; a test compares the two.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

from serving.store.columns import BigId, Embedding, UtcTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _required(name: str, kind: Any, *constraints: Any) -> Column[Any]:
    return Column(name, kind, *constraints, nullable=False)


items = Table(
    "items",
    metadata,
    Column("id", String, primary_key=True),  # SHA-256 of the medium's bytes
    _required("uri", String),
    Column("item_group", String),
    Column("language", String),
    _required("registered_at", UtcTime),
    _required("actor", String),
)
Index("ix_items_item_group", items.c.item_group)

item_tasks = Table(
    "item_tasks",
    metadata,
    Column("item_id", String, ForeignKey("items.id"), primary_key=True),
    Column("task", String, primary_key=True),
    _required("state", String),  # registered | preannotated | leased | corrected | contested | accepted | failed |
    # unfit
    _required("audit", Boolean),  # drawn at random for people; what it was when the item was corrected stays
    _required("draw", Float),  # the random draw in [0, 1) that decides on audits
    _required("priority", Float),  # higher is handed out first
    Column("version", String),  # of the pre-annotation that counts
    Column("preannotation_id", BigId),
    Column("correction_id", BigId),  # the one that counts
    Column("lease_id", String),
    Column("lease_until", UtcTime),
    Column("due_at", UtcTime),  # when somebody needs its label, if that was told; its group may be due as well
    Column("gold_at", UtcTime),  # when somebody chose it as gold; what was drawn as gold is told by its id
    Column("contested_at", UtcTime),  # a check that contradicts a sure version: when a second look was asked for, once
    Column("failure", String),
    _required("updated_at", UtcTime),
    _required("actor", String),
)
Index("ix_item_tasks_by_priority", *(item_tasks.c[name] for name in ("task", "state", "audit")),
      item_tasks.c.priority.desc(), item_tasks.c.item_id)  # fmt: skip
Index("ix_item_tasks_by_draw", *(item_tasks.c[name] for name in ("task", "state", "audit", "draw", "item_id")))
Index("ix_item_tasks_due", *(item_tasks.c[name] for name in ("task", "due_at", "state")),
      sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL"))  # fmt: skip
Index("ix_item_tasks_gold", item_tasks.c.task, item_tasks.c.item_id,
      sqlite_where=text("gold_at IS NOT NULL"), postgresql_where=text("gold_at IS NOT NULL"))  # fmt: skip
Index("ix_item_tasks_contested", item_tasks.c.task, item_tasks.c.item_id,
      sqlite_where=text("contested_at IS NOT NULL"), postgresql_where=text("contested_at IS NOT NULL"))  # fmt: skip
Index("ix_item_tasks_failed", item_tasks.c.updated_at, item_tasks.c.item_id,
      sqlite_where=text("state = 'failed'"), postgresql_where=text("state = 'failed'"))  # fmt: skip
Index("ix_item_tasks_by_version", *(item_tasks.c[name] for name in ("task", "state", "version")),
      item_tasks.c.priority.desc(), item_tasks.c.item_id)  # fmt: skip

preannotations = Table(
    "preannotations",
    metadata,
    Column("id", BigId, primary_key=True),
    _required("item_id", String),
    _required("task", String),
    _required("version", String, ForeignKey("versions.name")),
    _required("label", JSON),
    Column("text", String),  # the beginning of a transcript, to be searched
    _required("score", Float),
    _required("p_error", Float),
    _required("seconds", Float),
    _required("features", JSON),
    _required("embedding", Embedding),
    Column("duration_s", Float),
    _required("decision", String),  # accept | review | annotate | audit | calibrate
    _required("reason", String),
    Column("policy", String),  # the version by which it was decided; of before there were any, none
    Column("otherwise", String),  # what would change the decision
    Column("parts", JSON(none_as_null=True)),  # accepted one by one, shown to a person; none where all or nothing is
    _required("created_at", UtcTime),
    _required("actor", String),
    ForeignKeyConstraint(["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"]),
    UniqueConstraint("item_id", "task", "version"),
)
Index("ix_preannotations_task_text", preannotations.c.task, preannotations.c.text)
Index("ix_preannotations_version_id", preannotations.c.version, preannotations.c.id)

corrections = Table(
    "corrections",
    metadata,
    Column("id", BigId, primary_key=True),
    _required("key", String),  # SHA-256 of what makes two corrections the same one
    _required("item_id", String),
    _required("task", String),
    _required("label", JSON),
    _required("annotator", String),
    _required("seconds", Float),
    _required("tool", String),
    _required("created_at", UtcTime),  # by the sender's clock
    _required("counted_at", UtcTime),  # the same, but never later than its arrival; the newest counts
    _required("received_at", UtcTime),
    Column("model_version", String),
    Column("lease_id", String),
    Column("withdrawn_at", UtcTime),  # by who gave it; it counts no longer, its seconds do
    _required("planted", Boolean),  # said of an item whose answer was known: it is measured and never a label
    _required("known", Boolean),  # came with a gold item: nobody gave it here, so it is nobody's work
    _required("actor", String),
    ForeignKeyConstraint(["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"]),
    UniqueConstraint("key"),
)
Index("ix_corrections_item_id_task", corrections.c.item_id, corrections.c.task)
Index("ix_corrections_task_annotator", corrections.c.task, corrections.c.annotator)
Index("ix_corrections_task_received_at_seconds", *(corrections.c[name] for name in ("task", "received_at", "seconds")))
Index("ix_corrections_task_id", corrections.c.task, corrections.c.id)
Index("ix_corrections_seconds", *(corrections.c[name] for name in ("task", "model_version", "received_at", "seconds")))
Index("ix_corrections_planted", corrections.c.task,
      sqlite_where=text("planted = 1"), postgresql_where=text("planted"))  # fmt: skip
Index("ix_corrections_known", corrections.c.task, corrections.c.item_id,
      sqlite_where=text("known = 1"), postgresql_where=text("known"))  # fmt: skip

leases = Table(
    "leases",
    metadata,
    Column("id", String, primary_key=True),
    _required("item_id", String),
    _required("task", String),
    _required("annotator", String),
    _required("leased_at", UtcTime),
    _required("expires_at", UtcTime),
    Column("ended_at", UtcTime),  # before its time, by a correction, by a word that the item is unfit, or given back
    Column("correction_id", BigId),
    _required("planted", Boolean),  # of an item whose answer is known: who has it is not told, and it holds nothing
    Column("unfit_id", BigId),
    _required("actor", String),
    ForeignKeyConstraint(["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"]),
)
Index("ix_leases_item_id_task", leases.c.item_id, leases.c.task)
Index("ix_leases_planted", leases.c.task, sqlite_where=text("planted = 1"), postgresql_where=text("planted"))

unfit = Table(
    "unfit",  # people's words that an item cannot be labelled
    metadata,
    Column("id", BigId, primary_key=True),
    _required("key", String),  # SHA-256 of what makes two of them the same one
    _required("item_id", String),
    _required("task", String),
    _required("reason", String),
    _required("annotator", String),
    _required("seconds", Float),
    _required("tool", String),
    _required("created_at", UtcTime),  # by the sender's clock
    _required("received_at", UtcTime),
    Column("lease_id", String),
    Column("withdrawn_at", UtcTime),  # taken back, or ended by a correction or a later word
    _required("actor", String),
    ForeignKeyConstraint(["item_id", "task"], ["item_tasks.item_id", "item_tasks.task"]),
    UniqueConstraint("key"),
)
Index("ix_unfit_item_id_task", unfit.c.item_id, unfit.c.task)
Index("ix_unfit_task_received_at_seconds", unfit.c.task, unfit.c.received_at, unfit.c.seconds)

versions = Table(
    "versions",
    metadata,
    Column("name", String, primary_key=True),
    _required("task", String),
    _required("folder", String),
    Column("parent", String),
    _required("onnx_sha256", String),
    _required("metrics", JSON),
    _required("created_at", UtcTime),
    _required("state", String),  # candidate | serving | retired | failed
    Column("failure", String),
    _required("added_at", UtcTime),
    _required("actor", String),
)
Index(
    "uq_versions_one_serving",
    versions.c.task,
    unique=True,
    sqlite_where=text("state = 'serving'"),
    postgresql_where=text("state = 'serving'"),
)

trained_items = Table(
    "trained_items",
    metadata,
    Column("version", String, ForeignKey("versions.name"), primary_key=True),
    Column("item_id", String, primary_key=True),  # need not be an item of this store
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", BigId, primary_key=True),
    _required("task", String),
    _required("version", String, ForeignKey("versions.name")),
    Column("previous", String),
    _required("kind", String),  # promote | rollback
    _required("forced", Boolean),
    Column("quality", Float),  # on the gold items, in [0, 1]
    Column("previous_quality", Float),
    _required("gold_items", Integer),
    _required("note", String),
    _required("at", UtcTime),
    _required("actor", String),
)

calibrations = Table(
    "calibrations",
    metadata,
    Column("id", BigId, primary_key=True),
    _required("task", String),
    _required("version", String, ForeignKey("versions.name")),
    _required("calibrator", JSON),
    _required("promise", JSON),
    Column("alpha", Float),  # what the promise was made for; what was learnt before they were kept has none
    Column("delta", Float),
    _required("audited", Integer),  # corrected audit items of the task at that time
    Column("checks_from", UtcTime),  # when a promise was broken: checks of before say nothing of what came after
    _required("at", UtcTime),
    _required("actor", String),
)
Index("ix_calibrations_version_id", calibrations.c.version, calibrations.c.id)

policies = Table(
    "policies",  # that were adopted; the newest line of a task is in force
    metadata,
    Column("id", BigId, primary_key=True),
    Column("task", String),  # none: of all
    _required("version", String),
    _required("terms", JSON),
    _required("at", UtcTime),
    _required("actor", String),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", String, primary_key=True),
    _required("sha256", String),
    _required("scopes", JSON),
    _required("created_at", UtcTime),
    _required("actor", String),
    Column("revoked_at", UtcTime),
    Column("revoked_by", String),
    UniqueConstraint("sha256"),
)

studio_projects = Table(
    "studio_projects",  # of Label Studio, that show what our versions say
    metadata,
    Column("task", String, primary_key=True),
    Column("project", Integer, primary_key=True),
    Column("version", String),  # the one whose predictions order the project's queue
    _required("attached_at", UtcTime),
    _required("actor", String),
)

studio_tasks = Table(
    "studio_tasks",
    metadata,
    Column("task", String, primary_key=True),
    Column("studio_task", BigId, primary_key=True, autoincrement=False),
    _required("uri", String),  # as the task names its medium
    _required("item_id", String, ForeignKey("items.id")),
)
Index("ix_studio_tasks_item_id", studio_tasks.c.item_id)

studio_films = Table(
    "studio_films",  # videos of tasks, whose stills are items
    metadata,
    Column("task", String, primary_key=True),
    Column("studio_task", BigId, primary_key=True, autoincrement=False),
    _required("uri", String),  # as the task names its video
    _required("frames_per_s", Float),
    _required("frames", Integer),
    _required("duration_s", Float),
    _required("stills", JSON),  # [number, item]
)

studio_annotations = Table(
    "studio_annotations",
    metadata,
    Column("task", String, primary_key=True),
    Column("annotation", BigId, primary_key=True, autoincrement=False),
    Column("project", Integer),
    Column("studio_task", BigId),
    Column("changed_at", UtcTime),  # of the newest state that was seen
    _required("seconds", Float),  # that were counted so far
    _required("corrections", JSON),  # the ids of those it gave
    _required("gone", Boolean),  # deleted or cancelled: whatever of it comes later is old
)
Index("ix_studio_annotations_task_studio_task", studio_annotations.c.task, studio_annotations.c.studio_task)

inbox = Table(
    "inbox",  # what tools told and nobody has worked on yet, and what could not be worked on
    metadata,
    Column("id", BigId, primary_key=True),
    _required("tool", String),
    Column("task", String),
    _required("body", JSON),
    _required("received_at", UtcTime),
    _required("due_at", UtcTime),
    _required("attempts", Integer),
    Column("failure", String),
    _required("dead", Boolean),
)
Index("ix_inbox_tool_dead_due_at", inbox.c.tool, inbox.c.dead, inbox.c.due_at)

webhooks = Table(
    "webhooks",  # who is told of what happens here
    metadata,
    Column("id", String, primary_key=True),
    _required("url", String),
    _required("kinds", JSON),
    Column("task", String),  # none: of every task
    _required("secret", String),  # signs what is sent there, so it cannot be kept as a hash
    _required("made_at", UtcTime),
    _required("actor", String),
)

outbox = Table(
    "outbox",  # what is still to be told, and what nobody would hear
    metadata,
    Column("id", BigId, primary_key=True),
    _required("webhook", String, ForeignKey("webhooks.id")),
    _required("message", String),  # its id for the receiver, the same at every attempt
    _required("kind", String),
    _required("body", String),
    _required("told_at", UtcTime),
    _required("due_at", UtcTime),
    _required("attempts", Integer),
    Column("failure", String),
    _required("dead", Boolean),
)
Index("ix_outbox_dead_due_at", outbox.c.dead, outbox.c.due_at)
Index("ix_outbox_webhook_dead_id", outbox.c.webhook, outbox.c.dead, outbox.c.id)

cvat_frames = Table(
    "cvat_frames",
    metadata,
    Column("task", String, primary_key=True),
    Column("pixels", String, primary_key=True),  # their SHA-256: CVAT's own packages hand over pixels, no files
    _required("item_id", String, ForeignKey("items.id")),
    _required("version", String),  # whose shapes CVAT was given last
)

cvat_jobs = Table(
    "cvat_jobs",
    metadata,
    Column("job", BigId, primary_key=True, autoincrement=False),
    Column("annotator", String, primary_key=True),
    _required("seconds", Float),  # that corrections carry
)

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True),
    _required("at", UtcTime),
    _required("actor", String),
    _required("verb", String),
    _required("subject", String),
    _required("detail", JSON),
)
Index("ix_events_at_id", events.c.at, events.c.id)
Index("ix_events_actor_at_id", events.c.actor, events.c.at, events.c.id)
Index("ix_events_verb_at_id", events.c.verb, events.c.at, events.c.id)
