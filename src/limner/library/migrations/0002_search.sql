-- needs: fts5
CREATE VIRTUAL TABLE pictures_text USING fts5 (
    prompt, negative, model, content = 'pictures', content_rowid = 'n', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER pictures_text_insert AFTER INSERT ON pictures BEGIN
    INSERT INTO pictures_text (rowid, prompt, negative, model) VALUES (new.n, new.prompt, new.negative, new.model);
END;
CREATE TRIGGER pictures_text_delete AFTER DELETE ON pictures BEGIN
    INSERT INTO pictures_text (pictures_text, rowid, prompt, negative, model)
    VALUES ('delete', old.n, old.prompt, old.negative, old.model);
END;
CREATE TRIGGER pictures_text_update AFTER UPDATE OF prompt, negative, model ON pictures BEGIN
    INSERT INTO pictures_text (pictures_text, rowid, prompt, negative, model)
    VALUES ('delete', old.n, old.prompt, old.negative, old.model);
    INSERT INTO pictures_text (rowid, prompt, negative, model) VALUES (new.n, new.prompt, new.negative, new.model);
END;
