"""Workers of a Dask cluster: the pool of a run, and what runs on each worker. Needs the extra ``cluster``."""
