-- Runs of models: what ran on which versions of its inputs, and what came of it.
CREATE TABLE model_run (
    id          INTEGER PRIMARY KEY,
    model       TEXT NOT NULL,
    version     TEXT NOT NULL,
    run_key     TEXT NOT NULL,
    params      TEXT NOT NULL,
    inputs      TEXT NOT NULL,
    cause       TEXT NOT NULL,
    owner       TEXT NOT NULL,
    state       TEXT NOT NULL,
    job         INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    progress    REAL NOT NULL DEFAULT 0,
    message     TEXT NOT NULL DEFAULT '',
    checkpoint  TEXT,
    read        INTEGER NOT NULL DEFAULT 0,
    evaluated   INTEGER NOT NULL DEFAULT 0,
    written     INTEGER NOT NULL DEFAULT 0,
    removed     INTEGER NOT NULL DEFAULT 0,
    warnings    INTEGER NOT NULL DEFAULT 0,
    note        TEXT NOT NULL DEFAULT '',
    error       TEXT,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER
);
-- The same model, version, parameters and data are the same run; failed and stopped ones may be tried again.
CREATE UNIQUE INDEX model_run_key ON model_run (run_key) WHERE state IN ('queued', 'running', 'done');
CREATE INDEX model_run_model ON model_run (model, id);

-- When each model runs by itself; models without a row follow their own default.
CREATE TABLE model_schedule (
    model         TEXT PRIMARY KEY,
    enabled       INTEGER NOT NULL,
    every_minutes INTEGER NOT NULL,
    changed_by    TEXT NOT NULL,
    changed_at    INTEGER NOT NULL
) WITHOUT ROWID;

-- Warnings that models raised, and whether people found them true: the benefit of a model.
CREATE TABLE model_warning (
    id        INTEGER PRIMARY KEY,
    model     TEXT NOT NULL,
    key       TEXT NOT NULL,
    run       INTEGER NOT NULL,
    title     TEXT NOT NULL,
    region    TEXT NOT NULL,
    link      TEXT NOT NULL,
    state     TEXT NOT NULL,
    note      TEXT NOT NULL DEFAULT '',
    raised_at INTEGER NOT NULL,
    judged_by TEXT,
    judged_at INTEGER,
    UNIQUE (model, key)
);
CREATE INDEX model_warning_state ON model_warning (model, state, id);
