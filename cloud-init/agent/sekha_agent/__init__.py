"""The agent: applies one signed release by cloud-init and reports. Travels in the release; stage 0 starts it."""
