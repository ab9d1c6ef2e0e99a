//! The store and the engine from outside: golden answers, random queries against a naive
//! reading of every row, random writes against a map, and crashes.

mod golden;
mod language;
mod oracle;
mod people;
mod random;
mod rollups;
mod world;
mod writes;
