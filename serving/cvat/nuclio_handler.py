"""A function of nuclio: passes what CVAT asks on to prelabel, with a token where one is set, and the answer back.

Stands alone: its source goes into the function's description, and runs where nuclio puts it.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request

ATTEMPTS = 5
LATER = (429, 503)  # prelabel has too much to do, or its store or its model is away
UNTOLD_S = 2  # to wait after the first, where nobody says how long
WITHIN_S = 110.0  # all of them: nuclio's own limit, and CVAT's, is 120 s


def handler(context, event):  # type: ignore[no-untyped-def]  # both are nuclio's
    """Asks ``PRELABEL_FUNCTION`` with the token ``PRELABEL_TOKEN``, again where it is too busy or away for a moment; a
    failure keeps its status and its words."""
    body = event.body if isinstance(event.body, bytes) else json.dumps(event.body).encode()
    headers = {"Content-Type": "application/json"}
    if os.environ.get("PRELABEL_TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["PRELABEL_TOKEN"]
    asked = urllib.request.Request(os.environ["PRELABEL_FUNCTION"], body, headers)
    until = time.monotonic() + WITHIN_S
    for attempt in range(ATTEMPTS):
        status, answer, told = asked_once(asked, max(1.0, until - time.monotonic()))
        wait_s = int(told) if told.isdecimal() else UNTOLD_S * 2**attempt
        if status not in LATER or attempt + 1 == ATTEMPTS or time.monotonic() + wait_s >= until:
            break
        time.sleep(wait_s)
    return context.Response(body=answer, headers={}, content_type="application/json", status_code=status)


def asked_once(asked: urllib.request.Request, timeout_s: float) -> tuple[int, str, str]:
    """Status, answer and ``Retry-After`` of prelabel; 503 where nothing answers."""
    try:
        with urllib.request.urlopen(asked, timeout=timeout_s) as answer:
            return answer.status, answer.read().decode(), ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace"), str(error.headers.get("Retry-After", "")).strip()
    except (OSError, http.client.HTTPException) as error:  # the latter where it ends in the middle of an answer
        why = f"{asked.full_url}: expected prelabel to answer, got {error}"
        return 503, json.dumps({"error": {"code": "unavailable", "message": why}}), ""
