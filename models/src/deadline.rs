//! Supervision of statutory periods: rules are files, events are dates, states are computed.
//!
//! Counting follows 刑事诉讼法 (2018) art. 105 and 法释〔2021〕1号 art. 202 (see [`crate::period`]).
//! A rule file of `packs/<system>/deadlines/` has one or more limits; each limit has a trigger, a
//! period (backward where negative), end events, and declared exceptions: extensions that count
//! only if granted, excluded spans, restarts, choices by the facts of the case.

pub mod assess;
pub mod count;
pub mod evaluate;
pub mod events;
pub mod rule;
pub mod stream;
pub mod threshold;
pub mod timeline;

pub use assess::{Assessment, Context, LimitResult, State, Step, assess, assess_all};
pub use evaluate::evaluate;
pub use events::{Event, Events};
pub use rule::{Rule, Rules};
pub use stream::{CaseResult, Dated, Fact, LimitRow, Stream, judge};
pub use timeline::{Timeline, TimelineLimit, timeline};

#[cfg(test)]
mod tests;
