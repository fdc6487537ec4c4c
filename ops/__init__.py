"""What an operator runs: init, up, preview, outputs, destroy, down. Each is a target of the Makefile."""
