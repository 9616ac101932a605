"""From models to the tables that the business reads."""
