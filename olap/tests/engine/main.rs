//! The store and the engine from outside: golden answers, random queries against a naive
//! reading of every row, random writes against a map, and crashes.

mod clickhouse;
mod golden;
mod language;
mod oracle;
mod people;
mod random;
mod rollups;
#[path = "../city/server.rs"]
mod server;
mod world;
mod writes;
