//! Reader, workers, and one thread a store: rows flow in order, memory stays bounded.

use crate::error::{IngestError, Result};
use crate::occurrence::Occurrences;
use crate::plan::Plan;
use crate::quarantine::Quarantine;
use crate::rows::{self, Parsed};
use crate::source::{Opened, Piece, Stop};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use zonglan_catalog::traits::{Cancel, Committed, Cursor, RowSink};
use zonglan_catalog::{Batch, Dataset};

pub(crate) struct Flow<'a> {
    pub opened: Opened,
    pub plan: &'a Plan,
    pub sinks: &'a [Arc<dyn RowSink>],
    pub stream: String,
    pub threads: usize,
    pub cancel: &'a Cancel,
    /// Rows read and rows refused so far.
    pub progress: &'a mut dyn FnMut(u64, u64),
    /// Called with the counts when all is parsed, before the first commit.
    pub before_commit: &'a mut dyn FnMut(u64, u64, Quarantine) -> Result<()>,
    /// Called after each store's commit.
    pub committed: &'a mut dyn FnMut(&'static str, Committed) -> Result<()>,
}

/// A store's thread, seen from the coordinator.
struct Feed<'scope> {
    name: &'static str,
    batches: Option<SyncSender<Arc<Batch>>>,
    commit: SyncSender<Cursor>,
    ready: Receiver<()>,
    handle: ScopedJoinHandle<'scope, Result<Option<Committed>>>,
}

/// Runs the whole flow. Nothing is committed unless every row has been parsed and taken.
pub(crate) fn run(flow: Flow, mut quarantine: Quarantine) -> Result<()> {
    let Flow { opened, plan, sinks, stream, threads, cancel, progress, before_commit, committed } = flow;
    let layout = opened.layout.clone();
    // Pieces on their way at once, which bounds memory whatever the order in which they finish.
    let in_flight = threads * 2 + 2;
    thread::scope(|scope| {
        let (token_back, tokens) = sync_channel::<()>(in_flight);
        for _ in 0..in_flight {
            _ = token_back.send(());
        }
        let (pieces_in, pieces) = sync_channel::<(u64, Piece)>(in_flight);
        let pieces = Arc::new(Mutex::new(pieces));
        let (parsed_in, parsed) = sync_channel::<(u64, Option<Parsed>)>(in_flight);
        let reader = scope.spawn(move || -> Result<u64> {
            let mut count = 0;
            opened.run(&mut |piece| {
                // A closed channel: the coordinator has given up, and says why.
                tokens.recv().map_err(|_| Stop::Enough)?;
                pieces_in.send((count, piece)).map_err(|_| Stop::Enough)?;
                count += 1;
                Ok(())
            })?;
            Ok(count)
        });
        for _ in 0..threads {
            let (pieces, parsed_in, layout) = (pieces.clone(), parsed_in.clone(), &layout);
            scope.spawn(move || {
                loop {
                    let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, piece)) = next else { return };
                    // A panic must not leave the others waiting for this piece.
                    let parsed = catch_unwind(AssertUnwindSafe(|| rows::parse(plan, layout, piece))).ok();
                    if parsed_in.send((number, parsed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop((pieces, parsed_in));
        let mut feeds: Vec<Feed> = sinks.iter().map(|sink| feed(scope, sink, &plan.dataset)).collect();

        let mut counts = Counts::default();
        let mut outcome = coordinate(&parsed, &token_back, &mut feeds, &mut quarantine, &mut counts, cancel, progress);
        // Closing the channels ends reader and workers, whatever the outcome.
        drop((parsed, token_back));
        let pieces_read = join(reader);
        if outcome.is_ok() {
            outcome = match pieces_read {
                Ok(count) if count == counts.pieces => Ok(()),
                Ok(_) => Err(IngestError::Internal("a worker stopped early".into())),
                Err(error) => Err(error),
            };
        }
        for feed in &mut feeds {
            feed.batches = None;
        }
        if outcome.is_ok() && feeds.iter().any(|f| f.ready.recv().is_err()) {
            outcome = Err(IngestError::Internal("a store stopped early".into()));
        }
        if outcome.is_ok() {
            outcome = before_commit(counts.read, counts.bad, quarantine);
        }
        let cursor = Cursor { stream, position: counts.read - counts.bad };
        for feed in feeds {
            let Feed { name, commit, handle, .. } = feed;
            if outcome.is_ok() {
                _ = commit.send(cursor.clone());
            }
            drop(commit);
            let done = join(handle);
            match (done, &outcome) {
                // A store's own error says more than that it stopped.
                (Err(error), Ok(()) | Err(IngestError::Internal(_))) => outcome = Err(error),
                (Ok(Some(done)), Ok(())) => outcome = committed(name, done),
                _ => {}
            }
        }
        outcome
    })
}

#[derive(Default)]
struct Counts {
    read: u64,
    bad: u64,
    pieces: u64,
}

/// Takes parsed pieces in order, numbers rows without key, and passes batches to all stores.
fn coordinate(
    parsed: &Receiver<(u64, Option<Parsed>)>,
    token_back: &SyncSender<()>,
    feeds: &mut [Feed],
    quarantine: &mut Quarantine,
    counts: &mut Counts,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<()> {
    let mut waiting: BTreeMap<u64, Parsed> = BTreeMap::new();
    let mut occurrences = Occurrences::default();
    while let Ok((number, piece)) = parsed.recv() {
        let piece = piece.ok_or_else(|| IngestError::Internal("an import thread panicked".into()))?;
        waiting.insert(number, piece);
        while let Some(mut piece) = waiting.remove(&counts.pieces) {
            if cancel.is_cancelled() {
                return Err(IngestError::Cancelled);
            }
            for &row in &piece.keyless {
                let key = &mut piece.batch.keys[row as usize];
                *key = occurrences.number(*key);
            }
            for bad in &piece.bad {
                quarantine.write(bad)?;
            }
            counts.pieces += 1;
            counts.read += piece.read;
            counts.bad += piece.bad.len() as u64;
            if !piece.batch.is_empty() {
                let batch = Arc::new(piece.batch);
                for feed in feeds.iter_mut() {
                    let taken = feed.batches.as_ref().is_some_and(|b| b.send(batch.clone()).is_ok());
                    if !taken {
                        return Err(IngestError::Internal(format!("store {} stopped early", feed.name)));
                    }
                }
            }
            // Nobody waits for tokens once the reader has ended.
            _ = token_back.try_send(());
            progress(counts.read, counts.bad);
        }
    }
    Ok(())
}

fn feed<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    sink: &Arc<dyn RowSink>,
    dataset: &Arc<Dataset>,
) -> Feed<'scope> {
    let (batches_in, batches) = sync_channel::<Arc<Batch>>(2);
    let (commit_in, commit) = sync_channel::<Cursor>(1);
    let (ready_in, ready) = sync_channel::<()>(1);
    let name = sink.name();
    let (sink, dataset) = (sink.clone(), dataset.clone());
    let handle = scope.spawn(move || {
        let fail = |source: zonglan_catalog::Error| IngestError::Sink { sink: name, source: Box::new(source) };
        let mut txn = sink.begin(&dataset).map_err(fail)?;
        for batch in batches {
            txn.upsert(&batch).map_err(fail)?;
        }
        _ = ready_in.send(());
        match commit.recv() {
            Ok(cursor) => txn.commit(Some(&cursor)).map(Some).map_err(fail),
            // Given up: the transaction is dropped, which undoes it.
            Err(_) => Ok(None),
        }
    });
    Feed { name, batches: Some(batches_in), commit: commit_in, ready, handle }
}

fn join<T>(handle: ScopedJoinHandle<Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|_| Err(IngestError::Internal("an import thread panicked".into())))
}
