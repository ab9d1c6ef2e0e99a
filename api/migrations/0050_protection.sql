-- Registers whose documents were gone through: the fields that are sealed in them, and by which key.
CREATE TABLE sealed_registers (
    dataset TEXT PRIMARY KEY,
    fields TEXT NOT NULL,
    key INTEGER NOT NULL
) STRICT;
