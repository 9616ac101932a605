"""The search for parameters on validation windows before as_of."""
