"""Speed of the whole network, one ingredient at a time."""
