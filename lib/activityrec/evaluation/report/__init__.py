"""The evaluation report: one HTML page of a run. ``data`` reads the tables, ``page`` renders."""
