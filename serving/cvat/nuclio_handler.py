"""A function of nuclio: passes what CVAT asks on to prelabel, with a token where one is set, and the answer back.

Stands alone: its source goes into the function's description, and runs where nuclio puts it.
"""

import json
import os
import urllib.error
import urllib.request


def handler(context, event):  # type: ignore[no-untyped-def]  # both are nuclio's
    """Asks ``PRELABEL_FUNCTION`` with the token ``PRELABEL_TOKEN``; a failure keeps its status and its words."""
    body = event.body if isinstance(event.body, bytes) else json.dumps(event.body).encode()
    headers = {"Content-Type": "application/json"}
    if os.environ.get("PRELABEL_TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["PRELABEL_TOKEN"]
    asked = urllib.request.Request(os.environ["PRELABEL_FUNCTION"], body, headers)
    try:
        with urllib.request.urlopen(asked, timeout=110) as answer:
            status, told = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, told = error.code, error.read()
    return context.Response(body=told.decode(), headers={}, content_type="application/json", status_code=status)
