"""One file per verb; a command parses, calls and prints, and decides nothing."""
