"""The rules: pure values and functions. No I/O, no Prefect, no clock, no chance."""
