"""Everything that is kept: the only place with SQL in it.

``store.items``, ``store.deadlines``, ``store.queue``, ``store.planting``, ``store.gold``, ``store.unfit``,
``store.checks``, ``store.said``, ``store.versions``, ``store.policies``, ``store.workload``, ``store.tokens``,
``store.inbox``, ``store.outbox``, ``store.studio``, ``store.cvat``, ``store.changes`` and ``store.browse`` are its
drawers. Each method is one transaction; when it returns, a killed process loses nothing of it. Times come in as
arguments, aware of their zone.
"""

from contextlib import AbstractContextManager

from serving.store.browsing import Browsing
from serving.store.changes import Changes
from serving.store.checks import Checks
from serving.store.cvat import Cvat
from serving.store.database import Database
from serving.store.deadlines import Deadlines
from serving.store.gold import GoldItems
from serving.store.inbox import Inbox
from serving.store.items import Items
from serving.store.opinions import Said
from serving.store.outbox import Outbox
from serving.store.planting import Planting
from serving.store.policies import Adoptions
from serving.store.queue import Queue
from serving.store.studio import Studio
from serving.store.tokens import Tokens
from serving.store.unfit import UnfitItems
from serving.store.versions import Versions
from serving.store.workload import Workload


class Store:
    """The store at a database URL; safe to share between threads, and between processes through the database."""

    def __init__(self, database: Database) -> None:
        self.items = Items(database)
        self.deadlines = Deadlines(database)
        self.queue = Queue(database)
        self.planting = Planting(database)
        self.gold = GoldItems(database)
        self.unfit = UnfitItems(database)
        self.checks = Checks(database)
        self.versions = Versions(database)
        self.policies = Adoptions(database)
        self.workload = Workload(database)
        self.tokens = Tokens(database)
        self.inbox = Inbox(database)
        self.studio = Studio(database)
        self.cvat = Cvat(database)
        self.said = Said(database)
        self.changes = Changes(database)
        self.browse = Browsing(database)
        self.outbox = Outbox(database)
        self._database = database

    @classmethod
    def open(cls, url: str) -> "Store":
        """Opens the store and brings its tables up to date.

        Raises:
            InvalidInput: the URL names no SQLite file and no PostgreSQL, or a newer prelabel wrote the database.
            NotFound: nothing answers there.
        """
        return cls(Database.open(url))

    def trying(self) -> AbstractContextManager[None]:
        """What this thread changes within the block is seen by its later changes, by nobody else, and is undone."""
        return self._database.trying()

    def close(self) -> None:
        """Closes every connection."""
        self._database.close()
