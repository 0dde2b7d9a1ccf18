"""Signatures of the Standard Webhooks specification (standardwebhooks.com), so that its libraries can check them."""

import base64
import hashlib
import hmac
import secrets

from models.errors import InvalidInput

PREFIX = "whsec_"
_SECRET_BYTES = 24


def new_secret() -> str:
    """A secret that sender and receiver share."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: HMAC-SHA256 over id, seconds since 1970 and body, with dots between.

    Raises:
        InvalidInput: the secret is none of ``new_secret``.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise InvalidInput(f"webhook secret: expected {PREFIX} and base64, got something else") from error
    if not key:
        raise InvalidInput(f"webhook secret: expected {PREFIX} and base64, got nothing after it")
    signed = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
