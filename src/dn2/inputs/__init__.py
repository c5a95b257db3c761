"""What the user names on the command line or in a call, turned into data."""
