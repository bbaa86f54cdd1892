"""The whole: real server, real worker, plain clients."""
