"""The machine side of the local cloud: servers, networks, firewalls and volumes made of what Linux has."""
