"""What an evaluation leaves behind: ``report.json``, ``items.parquet`` and the page ``report.html``."""
