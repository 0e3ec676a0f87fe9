"""Data of a training: in memory or streamed, their splits, batches and augmentation."""
