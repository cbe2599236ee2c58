"""The HTML report, and the numbers that the README and the docs quote: both read records only."""
