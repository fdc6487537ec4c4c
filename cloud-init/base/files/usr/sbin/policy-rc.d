#!/bin/sh
# While Sekha Deploy installs packages, none starts its service: each starts once, configured, in its role's own step.
[ -z "${SEKHA_NO_START:-}" ] || exit 101
exit 0
