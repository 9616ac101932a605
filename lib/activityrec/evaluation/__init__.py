"""Did it help: metrics of frozen models on what happened afterwards."""
