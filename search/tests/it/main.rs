//! Tests of the index through its public interface.

mod around;
mod attached;
mod city;
mod crash;
mod docs;
mod fragments;
mod policy;
mod real;
mod rebuild;
mod results;
