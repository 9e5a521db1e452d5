-- A score is of a picture against a text (its tagged hash; empty: of the picture alone, or not known), and says in
-- flags, a JSON list, what weakens it.
CREATE TABLE scores_of_texts (
    picture TEXT NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    scorer TEXT NOT NULL,
    revision TEXT NOT NULL,
    text TEXT NOT NULL,
    value REAL NOT NULL,
    scale TEXT NOT NULL,
    domain TEXT NOT NULL,
    flags TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (picture, scorer, revision, text)
) WITHOUT ROWID;
INSERT INTO scores_of_texts (picture, scorer, revision, text, value, scale, domain)
    SELECT picture, scorer, revision, '', value, scale, domain FROM scores;
DROP TABLE scores;
ALTER TABLE scores_of_texts RENAME TO scores;
CREATE INDEX scores_scorer ON scores (scorer, value);
