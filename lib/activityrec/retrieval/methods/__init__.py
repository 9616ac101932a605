"""The retrievers: one file each, see :mod:`activityrec.retrieval.protocol`."""
