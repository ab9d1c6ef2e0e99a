-- The change log: what each write of a record changed, with its own MAC. `block` is null until sealed.
CREATE TABLE change_log (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    dataset TEXT NOT NULL,
    record  TEXT NOT NULL,
    version INTEGER NOT NULL,
    state   TEXT NOT NULL,
    purpose TEXT,
    before  TEXT,
    after   TEXT,
    mac     BLOB NOT NULL,
    block   INTEGER
);
CREATE UNIQUE INDEX change_log_record ON change_log (dataset, record, version);
CREATE INDEX change_log_open ON change_log (id) WHERE block IS NULL;
CREATE TABLE change_block (
    number   INTEGER PRIMARY KEY,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    previous BLOB NOT NULL,
    hash     BLOB NOT NULL,
    mac      BLOB NOT NULL
);

-- The audit stream: sign-ins, reads of personal data, searches, exports, changes of rights.
CREATE TABLE audit_log (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    dataset TEXT,
    record  TEXT,
    purpose TEXT,
    address TEXT,
    detail  TEXT,
    mac     BLOB NOT NULL,
    block   INTEGER
);
CREATE INDEX audit_log_open ON audit_log (id) WHERE block IS NULL;
CREATE TABLE audit_block (
    number   INTEGER PRIMARY KEY,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    previous BLOB NOT NULL,
    hash     BLOB NOT NULL,
    mac      BLOB NOT NULL
);

-- Last number given out in each series of record numbers.
CREATE TABLE number_series (
    series TEXT PRIMARY KEY,
    last   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    username       TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    password_hash  TEXT NOT NULL,
    roles          TEXT NOT NULL,
    regions        TEXT NOT NULL,
    disabled       INTEGER NOT NULL DEFAULT 0,
    must_change    INTEGER NOT NULL DEFAULT 0,
    grants_version INTEGER NOT NULL DEFAULT 1,
    failures       INTEGER NOT NULL DEFAULT 0,
    locked_until   INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE grants (
    username TEXT NOT NULL,
    id       TEXT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (username, id)
) WITHOUT ROWID;

-- Browser sessions (kind session) and API tokens (kind token), by the hash of their secret.
CREATE TABLE credentials (
    hash       BLOB PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    username   TEXT NOT NULL,
    csrf       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    address    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX credentials_user ON credentials (username);

CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY,
    owner       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    title       TEXT NOT NULL,
    params      TEXT NOT NULL,
    state       TEXT NOT NULL,
    progress    REAL NOT NULL DEFAULT 0,
    message     TEXT NOT NULL DEFAULT '',
    result      TEXT,
    error       TEXT,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER
);
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_state ON jobs (state) WHERE state IN ('queued', 'running');

CREATE TABLE notices (
    id         INTEGER PRIMARY KEY,
    username   TEXT NOT NULL,
    key        TEXT NOT NULL,
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    link       TEXT,
    created_at INTEGER NOT NULL,
    read_at    INTEGER,
    UNIQUE (username, key)
);
CREATE INDEX notices_unread ON notices (username, id) WHERE read_at IS NULL;
