"""How the nearest rows are found."""
