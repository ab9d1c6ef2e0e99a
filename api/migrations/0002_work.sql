-- Who has taken over whose work: tasks, turns in records, and the separation of duties count the
-- two as one. `until` null: for good.
CREATE TABLE delegations (
    id        INTEGER PRIMARY KEY,
    from_user TEXT NOT NULL,
    to_user   TEXT NOT NULL,
    since     INTEGER NOT NULL,
    until     INTEGER,
    reason    TEXT NOT NULL,
    actor     TEXT NOT NULL
);
CREATE INDEX delegations_to ON delegations (to_user);
CREATE INDEX delegations_from ON delegations (from_user);

-- Files of records; the content lies in the blob store.
CREATE TABLE record_files (
    id         INTEGER PRIMARY KEY,
    dataset    TEXT NOT NULL,
    record     TEXT NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT,
    media      TEXT NOT NULL,
    hash       TEXT NOT NULL,
    length     INTEGER NOT NULL,
    note       TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    removed_at INTEGER,
    removed_by TEXT
);
CREATE INDEX record_files_record ON record_files (dataset, record) WHERE removed_at IS NULL;
CREATE INDEX record_files_hash ON record_files (hash);

-- Drafts of forms, one a user and form, saved as one types; sealed with the key of the fields.
CREATE TABLE drafts (
    username TEXT NOT NULL,
    dataset  TEXT NOT NULL,
    record   TEXT NOT NULL,
    body     TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (username, dataset, record)
) WITHOUT ROWID;
