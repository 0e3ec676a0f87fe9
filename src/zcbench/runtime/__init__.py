"""Processes: devices, worker pool, progress, memory, what is sent to workers."""
