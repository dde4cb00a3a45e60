"""torch as an executor, on a CPU and on CUDA."""
