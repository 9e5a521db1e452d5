-- A gallery asks for families, for what is rated, and for one model's pictures by age.
CREATE INDEX pictures_parent ON pictures (parent) WHERE parent IS NOT NULL;
CREATE INDEX pictures_rating ON pictures (rating, created, id) WHERE rating IS NOT NULL;
DROP INDEX pictures_model;
CREATE INDEX pictures_model ON pictures (model, created, id);
