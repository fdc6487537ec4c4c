"""A self-hosted memory service: conversations in PostgreSQL, found again by meaning through Chroma and MiniLM."""

__version__ = "0.1.0"
