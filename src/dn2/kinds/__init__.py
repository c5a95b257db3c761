"""What differs between kinds of items: how they are found, embedded, kept and explained."""
