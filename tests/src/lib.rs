//! Black-box and browser tests of the whole program
