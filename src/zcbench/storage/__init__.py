"""Files on disk: data folders, atomic replacement, append-only logs, fingerprints, pickles."""
