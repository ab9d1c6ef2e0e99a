-- Applications for query rights (查询权限), with their decision and end. What is in force lies in `grants`.
CREATE TABLE grant_requests (
    id           INTEGER PRIMARY KEY,
    username     TEXT NOT NULL,
    dataset      TEXT NOT NULL,
    scope        TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    days         INTEGER NOT NULL,
    state        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    decided_by   TEXT,
    decided_at   INTEGER,
    reason       TEXT,
    expires_at   INTEGER,
    withdrawn_by TEXT,
    withdrawn_at INTEGER
);
CREATE INDEX grant_requests_user ON grant_requests (username, id);
CREATE INDEX grant_requests_open ON grant_requests (id) WHERE state = 'requested';

-- Searches that people keep; `known` holds the ids already told of.
CREATE TABLE saved_searches (
    id         INTEGER PRIMARY KEY,
    username   TEXT NOT NULL,
    name       TEXT NOT NULL,
    request    TEXT NOT NULL,
    alert      INTEGER NOT NULL,
    known      TEXT NOT NULL,
    total      INTEGER NOT NULL,
    note       TEXT,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    run_at     INTEGER NOT NULL
);
CREATE INDEX saved_searches_user ON saved_searches (username, id);
CREATE INDEX saved_searches_alert ON saved_searches (id) WHERE alert = 1;

-- What people confirmed of values read from texts and of links between documents.
CREATE TABLE confirmations (
    dataset TEXT NOT NULL,
    record  TEXT NOT NULL,
    item    TEXT NOT NULL,
    value   TEXT NOT NULL,
    verdict TEXT NOT NULL,
    by      TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (dataset, record, item)
) WITHOUT ROWID;

-- Own searches and looks at one record are asked of the audit stream.
CREATE INDEX audit_log_actor ON audit_log (actor, action, id);
CREATE INDEX audit_log_record ON audit_log (dataset, record, id) WHERE record IS NOT NULL;
