"""What one product costs, counted and timed."""
