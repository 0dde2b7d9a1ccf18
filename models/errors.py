"""What can go wrong, as one tree.

Every message says what was expected, what came and where::

    PrelabelError
    ├── InvalidInput            what was sent or given cannot be used as it is
    │   ├── InvalidRecord       a label, correction or other record breaks its own rules
    │   ├── InvalidDataset      a line or file of a data set is not in its format
    │   ├── UnreadableMedia     bytes that are not the image or sound they should be
    │   └── TooLarge            a medium or body beyond a stated limit
    ├── NotFound                an item, version, task or file that is not there
    ├── NotAllowed              a token, a scope or an address that may not do this
    ├── Stale                   a lease that has ended, or work already taken over by someone else
    └── Refused                 a model that must not be published or promoted, and why
        └── LossNotFinite       training stopped: the loss of one batch is NaN or infinite
"""


class PrelabelError(Exception):
    """Any failure that prelabel explains to its user."""


class InvalidInput(PrelabelError, ValueError):
    """What was sent or given cannot be used as it is."""


class InvalidRecord(InvalidInput):
    """A record breaks its own rules."""


class InvalidDataset(InvalidInput):
    """A line or file of a data set is not in its format; the message starts with ``file:line:``."""


class UnreadableMedia(InvalidInput):
    """Bytes that are not the image or sound they should be."""


class TooLarge(InvalidInput):
    """A medium or body beyond a stated limit."""


class NotFound(PrelabelError, LookupError):
    """An item, version, task or file that is not there."""


class NotAllowed(PrelabelError):
    """A token, a scope or an address that may not do this."""


class Stale(PrelabelError):
    """A lease that has ended, or work that someone else holds by now."""


class Refused(PrelabelError):
    """A model that must not be published or promoted, with the figures that say why."""


class LossNotFinite(Refused):
    """Training stopped because the loss of one batch is NaN or infinite; names the items of that batch."""
