"""The base image of the local cloud's servers."""
