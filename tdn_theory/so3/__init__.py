"""The group SO(3), exactly and in float64: degrees, couplings, rotations, harmonics. No torch."""
