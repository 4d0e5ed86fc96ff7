"""Faults planted in simulated deliveries, with the key to them."""
