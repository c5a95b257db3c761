"""Reports: self-contained HTML pages, figures, and HTML in notebooks."""
