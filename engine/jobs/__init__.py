"""The durable job queue and the dispatcher that feeds the workers."""
