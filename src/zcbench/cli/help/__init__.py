"""Help of the commands: groups of options, examples, and completion in the shell."""
