"""What is claimed and what is true: errors, bounds, universality, rank, cost."""
