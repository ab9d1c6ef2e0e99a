//! Tests of the whole program from outside: the real binary, real stores, a real browser.

mod attachments;
mod board;
mod boards;
mod browser;
mod cases;
mod coverage;
mod crash;
mod doc_examples;
mod endpoints;
mod explore;
mod geo;
mod import;
mod maps;
mod matrix;
mod models;
mod move_to;
mod policy;
mod protection;
mod query;
mod real_files;
mod records;
mod registers;
mod search;
mod service;
mod tasks;
mod texts;
mod tidy;

use std::sync::{Arc, Mutex, Weak};
use zonglan_tests::{Options, Server};

/// The demo city that tests share as long as they only read. The last test to let go stops it.
fn city() -> Arc<Server> {
    static CITY: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut slot = CITY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    slot.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start(Options::demo(20_000)).expect("the demo city starts"));
        // One more owner for the rest of the run: generating the city again costs more than memory.
        std::mem::forget(server.clone());
        zonglan_tests::server::end_with_process(server.pid());
        *slot = Arc::downgrade(&server);
        server
    })
}
