"""Media seen from afar: pictures scaled to the width of a card, sounds as waves; each made once and kept."""

import io
from pathlib import Path
from uuid import uuid4

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response
from PIL import Image

from models.drawing.shapes import outline
from models.media import media_type, read_audio, read_image
from serving.deployment import Deployment, deployment_of

WIDTH, HEIGHT = 480, 480  # the largest, in pixels: sharp on a card at two pixels a point
QUALITY = 78
_LASTING = "private, max-age=31536000, immutable"  # an item's bytes never change
_WAVE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 40" preserveAspectRatio="none"><style>
rect {{ fill: #2f5bdf }} @media (prefers-color-scheme: dark) {{ rect {{ fill: #7d9bff }} }}</style>{bars}</svg>"""

routes = APIRouter()


@routes.get("/thumbnails/{item_id}")
async def thumbnail(item_id: str, request: Request) -> Response:
    """A small picture of an item, the same for ever."""
    headers = {
        "Cache-Control": _LASTING,
        "ETag": f'"{item_id}"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    data = await run_sync(small, deployment_of(request), item_id)
    kind = "image/svg+xml" if data.startswith(b"<svg") else "image/jpeg"
    return Response(data, headers=headers, media_type=kind)


def small(deployment: Deployment, item_id: str) -> bytes:
    """A small JPEG or SVG of an item: the one kept in the data folder, or made now.

    Raises:
        NotFound: there is no such item, or its medium is gone.
        UnreadableMedia, TooLarge: it cannot be read.
    """
    item = deployment.loop.item(item_id)
    kept = deployment.settings.data_dir / "thumbnails" / item.id[:2] / item.id
    if kept.is_file():
        return kept.read_bytes()
    data = deployment.annotator.bytes_of(item)
    limits = deployment.settings.limits
    if (media_type(data) or "").startswith("image/"):
        made = _picture(Image.fromarray(read_image(data, item.uri, limits)))
    else:
        made = _wave(outline(read_audio(data, item.uri, limits)).bars)
    _keep(kept, made)
    return made


def _picture(image: Image.Image) -> bytes:
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _wave(bars: tuple[float, ...]) -> bytes:
    drawn = "".join(
        f'<rect x="{x + 0.15:.2f}" width=".7" y="{19.5 - 19 * bar:.2f}" height="{38 * bar + 1:.2f}"/>'
        for x, bar in enumerate(bars)
    )
    return _WAVE.format(width=len(bars), bars=drawn).encode()


def _keep(path: Path, data: bytes) -> None:
    """Appears whole or not at all; a disk that takes nothing more is no reason to show nothing."""
    unfinished = path.with_name(f".{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
