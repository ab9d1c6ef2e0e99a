-- What became of the text of attached files. The text itself is a blob.
CREATE TABLE file_texts (
    file       INTEGER PRIMARY KEY REFERENCES record_files (id),
    -- text: searched; none: there is none in this kind of file; failed: it cannot be read
    state      TEXT NOT NULL,
    hash       TEXT,
    length     INTEGER,
    characters INTEGER NOT NULL DEFAULT 0,
    reason     TEXT,
    -- whether the index has it, or knows that the file is gone
    indexed    INTEGER NOT NULL DEFAULT 0,
    at         INTEGER NOT NULL
);
CREATE INDEX file_texts_open ON file_texts (file) WHERE indexed = 0;
