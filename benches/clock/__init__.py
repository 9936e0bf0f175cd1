"""Latency by a clock in the picture: see README.md of the folder above."""
