-- Pictures with what is searched and sorted by; the Record itself stays JSON. Paths under the library are relative.
CREATE TABLE pictures (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL UNIQUE,
    format TEXT NOT NULL,
    source TEXT NOT NULL,
    created TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    pixel_hash TEXT NOT NULL,
    image_key TEXT,
    prompt TEXT NOT NULL DEFAULT '',
    negative TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    seed INTEGER,
    rating INTEGER CHECK (rating BETWEEN 1 AND 5),
    parent TEXT,
    lost INTEGER NOT NULL DEFAULT 0,
    record TEXT,
    fields TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX pictures_created ON pictures (created, id);
CREATE INDEX pictures_image_key ON pictures (image_key);
CREATE INDEX pictures_pixel_hash ON pictures (pixel_hash);
CREATE INDEX pictures_model ON pictures (model);
CREATE INDEX pictures_seed ON pictures (seed);

CREATE TABLE scores (
    picture TEXT NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    scorer TEXT NOT NULL,
    revision TEXT NOT NULL,
    value REAL NOT NULL,
    scale TEXT NOT NULL,
    domain TEXT NOT NULL,
    PRIMARY KEY (picture, scorer, revision)
) WITHOUT ROWID;

-- Files that an import has met: a second run over the same folder skips what has not changed.
CREATE TABLE seen (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    problem TEXT
) WITHOUT ROWID;

-- Which pictures each line of a prompt file made. Pictures by id without a foreign key: a deleted one must be missed.
CREATE TABLE runs (
    run TEXT NOT NULL,
    item TEXT NOT NULL,
    images TEXT NOT NULL,
    PRIMARY KEY (run, item)
) WITHOUT ROWID;
