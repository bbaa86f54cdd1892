"""What the server process and a worker process say to each other."""
