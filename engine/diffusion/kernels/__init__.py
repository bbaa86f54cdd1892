"""bfloat16 kernels for processors with AMX, compiled on the machine they run on."""
