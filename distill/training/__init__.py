"""Training of a student under a teacher: recipe, objective, loop, checkpoint, export."""
