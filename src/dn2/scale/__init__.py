"""Work on a cluster of Ray."""
