"""Studies (refinements, comparisons, grids) as a server sees them: found by id, told as data, voted on. Torch-free."""
