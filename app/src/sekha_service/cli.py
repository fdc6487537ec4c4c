"""Command line: `sekha-controller [start|migrate-schema] --config PATH`."""


def main() -> int:
    """Placeholder until the server is wired."""
    return 2
