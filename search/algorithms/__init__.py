"""Search algorithms; they know no architecture."""
