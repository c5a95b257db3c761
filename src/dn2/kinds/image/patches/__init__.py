"""Pictures compared patch by patch."""
