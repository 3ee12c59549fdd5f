"""Measurements: labhub beside the stock parts it is made of, on one machine in one run.

`./labhub bench` runs them (`cli/bench.py`). Each measurement is a module with `run(report)`, which
returns its figures for `--json` and shows them through the report. Nothing is left behind.
"""
