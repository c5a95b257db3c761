"""What is done to rows before they are compared."""
