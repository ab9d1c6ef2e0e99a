//! Tests of the index through its public interface.

mod around;
mod city;
mod crash;
mod docs;
mod fragments;
mod policy;
mod real;
mod results;
