"""The web console: what the local cloud holds and does, in a browser on this machine. It only reads."""
