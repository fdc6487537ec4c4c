"""The Pulumi program: settings -> plan -> cloud -> release -> outputs."""

from infra.patience import be_patient
from infra.program import main

be_patient()
main()
