-- What people keep about places, version by version: fits of control points, imported boundaries and
-- gazetteers, drawn areas, reviewed addresses. Large contents are files in data/geo; `body` tells the rest.
CREATE TABLE geo_versions (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    body       TEXT NOT NULL,
    made_by    TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    remark     TEXT NOT NULL DEFAULT '',
    UNIQUE (kind, name, version)
);
