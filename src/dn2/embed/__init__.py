"""Things to vectors."""
