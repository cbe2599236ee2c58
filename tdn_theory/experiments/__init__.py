"""One module per figure or table of the paper: parameters in, records out."""
