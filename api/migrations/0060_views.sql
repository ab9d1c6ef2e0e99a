-- Queries that people keep of the explore page, and the roles that they share them with (a JSON list).
CREATE TABLE views (
    id         INTEGER PRIMARY KEY,
    username   TEXT NOT NULL,
    name       TEXT NOT NULL,
    note       TEXT NOT NULL,
    query      TEXT NOT NULL,
    chart      TEXT,
    roles      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX views_user ON views (username, id);
CREATE INDEX views_shared ON views (id) WHERE roles <> '[]';
