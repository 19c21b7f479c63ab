"""Lets `python -m railiance` be the command line."""

from railiance.cli import main

main()
