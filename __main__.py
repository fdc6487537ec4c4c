"""The Pulumi program: settings -> plan -> cloud -> release -> outputs."""

from infra.program import main

main()
