//! The zonglan program: configuration, identity, records, jobs, routes, wiring.

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod drills;
pub mod error;
pub mod extract;
pub mod extracting;
pub mod follow;
pub mod frames;
pub mod geo;
pub mod imports;
pub mod jobs;
pub mod live;
pub mod memory;
pub mod metrics;
pub mod middleware;
pub mod models;
pub mod monitor;
pub mod operator;
pub mod query;
pub mod router;
pub mod routes;
pub mod searching;
pub mod serve;
pub mod store;
