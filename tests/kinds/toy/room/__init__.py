"""Colours, as `#rrggbb`: a kind of data that a test adds."""
