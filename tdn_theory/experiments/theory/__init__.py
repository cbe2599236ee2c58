"""What theory can prove or compute exactly: equivariance, forms, bounds, uniqueness."""
