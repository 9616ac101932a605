"""The current publication outside of the lakehouse: databases, warehouses, files."""
