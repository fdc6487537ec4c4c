"""Unmodified Hetzner clients through the whole life of every resource of the local cloud's API."""
