"""The protocol that compares ways to find small defects: dn2's, and PatchCore and PaDiM on the same maps."""
