"""What dn2 asks of the system: names of files, bounds on what is read, terminals, processes."""
