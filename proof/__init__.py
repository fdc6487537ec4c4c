"""Commands that show, on a running stack, what this project promises: a table and, with JSON=1, one JSON object."""
