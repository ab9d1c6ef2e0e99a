//! Which definition of a measure a question is answered with, and what the answer says of it.
//!
//! A measure carries the definitions that were in force before. A question about a time in which
//! only one of them held is answered with that one, where a measure is declared that computes it;
//! otherwise the newest is used, and the answer says so.

use crate::dataset::{Dataset, Measure, MeasureVersion};
use crate::time::{Span, local_midnight};
use chrono::NaiveDate;
use serde::Serialize;

/// What an answer says of one of its measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// `definition.earlier`: computed as defined then; `definition.newest`: that definition cannot
    /// be computed; `definition.mixed`: the range spans several; `definition.compared`: the period
    /// compared with had another.
    pub code: &'static str,
    /// The dataset and measure that the note is about.
    pub dataset: String,
    pub measure: String,
    /// The version of the definition used; the first is 1.
    pub version: usize,
    pub zh: String,
    pub en: String,
}

impl Measure {
    /// The number of the newest definition.
    pub fn newest_version(&self) -> usize {
        self.version.len() + 1
    }

    /// The day from which the newest definition holds.
    pub fn newest_from(&self) -> Option<NaiveDate> {
        self.effective_from.or_else(|| self.version.last().map(|v| v.to))
    }
}

/// The time that a question is about, and the notes that it gives rise to.
#[derive(Debug)]
pub struct Era {
    span: Span,
    compared: bool,
    pub notes: Vec<Note>,
}

impl Era {
    pub fn new(span: Span, compared: bool) -> Self {
        Self { span, compared, notes: Vec::new() }
    }

    /// The definition that answers for the whole range, under the measure's own name.
    pub fn definition(&mut self, dataset: &Dataset, measure: &Measure) -> Measure {
        let Some(newest) = measure.newest_from().map(local_midnight) else { return measure.clone() };
        let whole =
            |v: &MeasureVersion| local_midnight(v.from) <= self.span.from && self.span.to <= local_midnight(v.to);
        let current = measure.newest_version();
        if self.span.from >= newest {
            // The period compared with lies a year or a period earlier.
            if self.compared && self.span.months_earlier(12).from < newest {
                self.note(
                    dataset,
                    measure,
                    "definition.compared",
                    current,
                    (
                        format!(
                            "「{}」自 {} 起用现行口径；对比期在此之前的部分也按现行口径计算",
                            measure.label.zh,
                            day(measure)
                        ),
                        format!(
                            "{}: the newest definition, in force from {}, is used for the period compared with, too",
                            measure.label.en,
                            day(measure)
                        ),
                    ),
                );
            }
            return measure.clone();
        }
        let Some(at) = measure.version.iter().position(whole) else {
            self.note(
                dataset,
                measure,
                "definition.mixed",
                current,
                (
                    format!(
                        "「{}」的口径自 {} 起改变；查询的时间跨越前后，全部按现行口径计算",
                        measure.label.zh,
                        day(measure)
                    ),
                    format!(
                        "{}: its definition changed on {}; the whole range is computed by the newest one",
                        measure.label.en,
                        day(measure)
                    ),
                ),
            );
            return measure.clone();
        };
        let version = &measure.version[at];
        let period = format!("{} – {}", version.from, version.to.pred_opt().unwrap_or(version.to));
        let earlier = version.computed_by.as_ref().and_then(|name| dataset.measure(name));
        let Some(earlier) = earlier else {
            self.note(dataset, measure, "definition.newest", current, (
                format!("「{}」在 {period} 的口径为「{}」，数据不足以按它计算；这里按现行口径计算", measure.label.zh, version.definition),
                format!("{}: in {period} it was defined otherwise, which cannot be computed from this data; the newest definition is used", measure.label.en),
            ));
            return measure.clone();
        };
        self.note(
            dataset,
            measure,
            "definition.earlier",
            at + 1,
            (
                format!(
                    "「{}」按当时（{period}，第 {} 版）的口径计算：{}",
                    measure.label.zh,
                    at + 1,
                    version.definition
                ),
                format!("{}: computed as defined in {period} (version {})", measure.label.en, at + 1),
            ),
        );
        Measure { name: measure.name.clone(), label: measure.label.clone(), ..earlier.clone() }
    }

    fn note(
        &mut self,
        dataset: &Dataset,
        measure: &Measure,
        code: &'static str,
        version: usize,
        text: (String, String),
    ) {
        let note = Note {
            code,
            dataset: dataset.name.clone(),
            measure: measure.name.clone(),
            version,
            zh: text.0,
            en: text.1,
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn day(measure: &Measure) -> String {
    measure.newest_from().map(|d| d.to_string()).unwrap_or_default()
}
