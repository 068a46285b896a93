"""The evaluation suite: `python -m evals`."""
