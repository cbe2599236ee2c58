"""TDN beside other networks, and other networks with its products."""
