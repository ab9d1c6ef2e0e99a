//! Extraction on the 501 published judgments of the shared data, and on nothing without them.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Read;
use zonglan_models::extract::{self, Agency};

#[derive(Deserialize)]
struct Row {
    id: String,
    judgment: String,
    statutes: BTreeSet<u32>,
}

fn rows() -> Option<Vec<Row>> {
    let shared = std::env::var_os("ZONGLAN_SHARED")?;
    let file = std::fs::File::open(std::path::Path::new(&shared).join("data/judgments/judge.jsonl.gz"))
        .expect("the judgments");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect())
}

/// Articles of the Criminal Law as the field `statutes` counts them: the number before 之, each once
/// a judgment. F1 is micro: over all judgments together.
#[test]
fn the_shared_judgments_are_read() {
    let Some(rows) = rows() else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let (mut courts, mut numbers, mut numbered) = (0, 0, 0);
    let (mut hit, mut got, mut want) = (0, 0, 0);
    let (mut dates, mut charges, mut accused, mut reasoning, mut rulings, mut cited) = (0, 0, 0, 0, 0, 0);
    let mut wrong = Vec::new();
    for row in &rows {
        let read = extract::judgment(&row.judgment);
        // The court stands in the heading, before the kind of the document.
        let heading: String = row.judgment.chars().take(200).collect();
        let court =
            heading.split_whitespace().find(|w| w.ends_with("法院") && w.chars().count() < 30).unwrap_or_default();
        let found = read.court.as_ref().map_or("", |c| c.value.as_str());
        if found == court {
            courts += 1;
        } else {
            wrong.push(format!("{} court '{found}' for '{court}'", row.id));
        }
        if heading.contains('号') {
            numbered += 1;
            match &read.case_number {
                Some(_) => numbers += 1,
                None => wrong.push(format!("{} number: {heading}", row.id)),
            }
        }
        let articles: BTreeSet<u32> =
            read.statutes.iter().filter(|c| c.law.ends_with("刑法")).map(|c| c.article).collect();
        hit += articles.intersection(&row.statutes).count();
        got += articles.len();
        want += row.statutes.len();
        dates += usize::from(read.judged_on.as_ref().is_some_and(|d| d.confidence > 0.9));
        charges += usize::from(!read.charges.is_empty());
        accused += usize::from(read.parties.iter().any(|p| p.role.contains("被告") && p.confidence > 0.6));
        reasoning += usize::from(read.sections.iter().any(|s| s.part == extract::Part::Reasoning));
        rulings += usize::from(read.sections.iter().any(|s| s.part == extract::Part::Ruling));
        cited += usize::from(read.related.iter().any(|n| n.agency == Agency::Procuratorate));
        if std::env::var_os("SHOW").is_some() {
            println!(
                "{} | {:?} | {:?} | {:?} | {:?} | {:?} | {:?}",
                found,
                read.case_number.as_ref().map(|n| &n.value),
                read.judged_on.as_ref().map(|d| (d.value, d.confidence)),
                read.charges.iter().map(|c| (&c.value, c.confidence)).collect::<Vec<_>>(),
                read.parties.iter().map(|p| (&p.role, &p.name, p.confidence)).collect::<Vec<_>>(),
                read.procedure.as_ref().map(|p| (&p.value, p.confidence)),
                read.outcome.as_ref().map(|o| (o.kind, o.term_months, o.fine, o.probation))
            );
        }
    }
    let (p, r) = (hit as f64 / got as f64, hit as f64 / want as f64);
    let f1 = 2.0 * p * r / (p + r);
    println!(
        "{} texts: court {courts}, number {numbers} of {numbered}, statutes P {p:.4} R {r:.4} F1 {f1:.4}, date {dates}, charges {charges}, defendants {accused}, reasoning {reasoning}, ruling {rulings}, indictment {cited}",
        rows.len()
    );
    for line in &wrong {
        println!("{line}");
    }
    assert!(courts >= 497, "courts right: {courts}");
    assert_eq!(numbers, numbered);
    assert!(f1 >= 0.95, "statutes F1 {f1}");
    assert!(
        dates >= 490 && charges >= 495 && accused >= 495 && reasoning >= 490 && rulings >= 498,
        "{dates} {charges} {accused} {reasoning} {rulings}"
    );
}
