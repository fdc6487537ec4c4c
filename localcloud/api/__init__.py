"""The HTTP side of the local cloud: Hetzner's Cloud API v1. `app.create_app` builds it."""
