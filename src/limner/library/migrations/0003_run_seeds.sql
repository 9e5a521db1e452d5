-- The seed that a line's pictures start from, chosen before the first is drawn; images has null for those still missing.
ALTER TABLE runs ADD COLUMN seed INTEGER;
