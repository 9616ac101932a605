"""A planted world: sources of any size whose truth is known."""
