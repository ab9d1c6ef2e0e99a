-- SM2 statements about approvals of records and about exported files.
CREATE TABLE signatures (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    dataset TEXT NOT NULL,
    record TEXT NOT NULL,
    version INTEGER NOT NULL,
    actor TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX signatures_of_record ON signatures (dataset, record, version);
