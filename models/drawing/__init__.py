"""Labels drawn on their media: shapes, and the markup and style (``drawing.html``, ``drawing.css``) that show them."""
