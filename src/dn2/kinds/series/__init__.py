"""Series: windows that slide over them."""
