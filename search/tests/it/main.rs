//! Tests of the index through its public interface.

mod city;
mod crash;
mod fragments;
mod policy;
mod real;
mod results;
