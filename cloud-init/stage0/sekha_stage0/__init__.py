"""Stage 0: polls desired/NODE in the stack's bucket, checks who signed it, starts the agent that it names."""
