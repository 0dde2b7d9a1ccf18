"""Labels drawn on their media: shapes, and the markup and style (``drawing.html``, ``look.css``) that show them."""
