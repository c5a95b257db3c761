"""Results: rows, their evidence, their files, figures of merit."""
