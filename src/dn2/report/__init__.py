"""One self-contained HTML page: what was found and why."""
