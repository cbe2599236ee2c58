"""Loops written for one kind of processor, each with its plain torch form in `tdn_theory.nn.bilinear` as reference."""
