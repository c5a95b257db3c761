"""A service: scoring by HTTP, and pages on which people judge what it flags."""
