"""The CrossGuard policy pack: infra/'s guard rails, asked by the engine of every resource of a preview."""
