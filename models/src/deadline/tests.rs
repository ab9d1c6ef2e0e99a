//! The vectors, worked cases, and an oracle that counts day by day.

use super::*;
use crate::period::{MonthEnd, Period};
use chrono::{Datelike, NaiveDate};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;
use zonglan_catalog::Catalogue;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the packs are valid"));
static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load(&CATALOGUE).unwrap_or_else(|e| panic!("{e}")));

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn run(body: Value) -> Value {
    evaluate(body.clone(), &RULES, CATALOGUE.calendar()).unwrap_or_else(|e| panic!("{body}: {e}"))
}

/// `(due, state)` of a case.
fn case(rule: &str, events: Value, as_of: &str) -> (String, String) {
    let out = run(json!({"rule": rule, "events": events, "as_of": as_of}));
    let text = |key: &str| out[key].as_str().unwrap_or("-").to_string();
    (text("due"), text("state"))
}

#[track_caller]
fn expect(rule: &str, events: Value, as_of: &str, due: &str, state: &str) {
    assert_eq!(case(rule, events.clone(), as_of), (due.into(), state.into()), "{rule} {events}");
}

#[test]
fn the_29_vectors() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/data/deadline_vectors.json")).expect("json");
    assert_eq!(vectors.len(), 29);
    for v in vectors {
        let out = run(json!({"rule": v["rule"], "trigger": v["trigger"], "params": v["params"]}));
        assert_eq!(out["raw_due"], v["raw_due"], "{v}");
        assert_eq!(out["due"], v["due"], "{v}");
        assert!(out["explanation"].as_array().is_some_and(|e| e.len() >= 2), "{v}");
    }
}

#[test]
fn every_rule_file_is_valid_and_cites() {
    let names: Vec<_> = RULES.iter().map(|r| r.name.as_str()).collect();
    for rule in ["R1", "R1a", "R2", "R2b", "R3", "R4", "R4b", "R5", "R6", "R7", "R8", "R9", "R10"] {
        assert!(names.contains(&rule), "{rule}");
    }
    for (name, file) in CATALOGUE.files("deadlines") {
        assert!(RULES.get(name).is_ok(), "{}: the name in the file is not the file's name", file.path);
    }
    for rule in RULES.iter() {
        let unconfirmed = rule.limit.iter().flat_map(|l| &l.basis).any(|b| b.contains("未确认"));
        assert!(!unconfirmed || rule.status == rule::Status::Unconfirmed, "{}", rule.name);
    }
}

#[test]
fn custody_counts_only_granted_extensions_from_the_first_day() {
    let open = json!({"arrested": "2025-12-30"});
    expect("R1", open.clone(), "2026-01-10", "2026-02-28", "未到期");
    expect("R1", open.clone(), "2026-02-22", "2026-02-28", "临期");
    expect("R1", open.clone(), "2026-02-28", "2026-02-28", "到期当日");
    expect("R1", open, "2026-03-01", "2026-02-28", "超期未办");
    // From the anchor: 30 December and three months, not 28 February and one month.
    let granted = json!({"arrested": "2025-12-30", "extension_granted_156": "2026-02-20"});
    expect("R1", granted, "2026-03-01", "2026-03-30", "未到期");
    let asked = json!({"arrested": "2025-12-30", "extension_requested": "2026-02-15"});
    expect("R1", asked, "2026-03-01", "2026-02-28", "超期未办");
    let late = json!({"arrested": "2025-12-30", "extension_granted_156": "2026-03-02"});
    expect("R1", late, "2026-03-05", "2026-02-28", "超期未办");
    let all = json!({"arrested": "2026-01-10", "extension_granted": ["2026-03-01", "2026-04-01", "2026-06-01"],
                     "transferred": "2026-08-11"});
    expect("R1", all.clone(), "2026-08-20", "2026-08-10", "超期已办");
    // What was known in May.
    expect("R1", all, "2026-05-20", "2026-06-10", "未到期");
    expect("R1", json!({}), "2026-03-05", "-", "无法判断");
    expect("R1", json!({"trigger": "2026-01-10", "end": "2026-03-12"}), "2026-03-15", "2026-03-10", "超期已办");
}

#[test]
fn custody_excludes_assessments_and_restarts() {
    let assessed = json!({"arrested": "2026-01-10", "psychiatric_entrusted": "2026-02-01",
                          "psychiatric_opinion": "2026-02-21"});
    expect("R1", assessed, "2026-03-20", "2026-03-30", "未到期");
    let found =
        json!({"arrested": "2026-01-10", "extension_granted_156": "2026-02-10", "new_offence_found": "2026-02-20"});
    expect("R1", found, "2026-03-20", "2026-04-20", "未到期");
    let found_late = json!({"arrested": "2026-01-10", "new_offence_found": "2026-03-20"});
    expect("R1", found_late, "2026-03-21", "2026-03-10", "超期未办");
    let unknown = json!({"arrested": "2026-01-10", "identity_established": "2026-04-01"});
    expect("R1", unknown, "2026-04-02", "2026-06-01", "未到期");
}

#[test]
fn custody_decides_choice_and_roll() {
    let detained = json!({"detained": "2026-02-07", "arrest_request_received": "2026-02-10"});
    expect("R4", detained, "2026-02-11", "2026-02-17", "未到期");
    expect("R4", json!({"arrest_request_received": "2026-02-03"}), "2026-02-11", "2026-02-24", "未到期");
    expect(
        "R4",
        json!({"arrest_request_received": "2026-03-02", "complex": true}),
        "2026-03-11",
        "2026-03-23",
        "未到期",
    );
    expect("R3", json!({"returned_for_investigation": "2026-01-15"}), "2026-02-01", "2026-02-24", "未到期");
    let inside = json!({"arrested": "2025-12-01", "returned_for_investigation": "2026-01-15"});
    expect("R3", inside, "2026-02-16", "2026-02-15", "超期未办");
    let out = json!({"arrested": "2025-12-01", "bail": "2026-02-01", "returned_for_investigation": "2026-01-15"});
    expect("R3", out, "2026-02-16", "2026-02-24", "未到期");
}

#[test]
fn review_runs_in_spells() {
    let first = json!({"under_review": "2026-01-31", "returned_for_investigation": "2026-02-25", "custody": true});
    expect("R5", first, "2026-03-10", "2026-02-28", "按期办结");
    let again = json!({"under_review": "2026-01-31", "returned_for_investigation": "2026-02-25",
                       "resubmitted": "2026-03-20", "custody": true});
    expect("R5", again, "2026-04-10", "2026-04-20", "未到期");
    expect("R5", json!({"under_review": "2026-03-02", "expedited": true}), "2026-03-11", "2026-03-12", "临期");
    let ended = json!({"under_review": "2026-03-02", "expedited": true, "expedited_ended": "2026-03-10"});
    expect("R5", ended, "2026-03-11", "2026-04-02", "未到期");
    let thrice = json!({"returned_for_investigation": ["2026-01-05", "2026-03-05", "2026-05-06"],
                        "resubmitted": ["2026-02-01", "2026-04-01"]});
    let out = run(json!({"rule": "R3", "events": thrice, "as_of": "2026-05-10"}));
    assert!(out["warnings"][0].as_str().is_some_and(|w| w.contains("以 2 次为限")), "{out}");
    assert_eq!(out["limits"][0]["spells"].as_array().map(Vec::len), Some(3));
}

#[test]
fn backward_limits() {
    // Custody would end on 10 March: the police ask by the 3rd, the procuratorate decides by the 10th.
    let asked = json!({"arrested": "2026-01-10", "extension_requested": "2026-03-04"});
    let out = run(json!({"rule": "R6", "events": asked, "as_of": "2026-03-05"}));
    assert_eq!((&out["limits"][0]["due"], &out["limits"][0]["state"]), (&json!("2026-03-03"), &json!("超期已办")));
    assert_eq!((&out["limits"][1]["due"], &out["limits"][1]["state"]), (&json!("2026-03-10"), &json!("未到期")));
    let granted =
        json!({"arrested": "2026-01-10", "extension_requested": "2026-03-02", "extension_granted": "2026-03-09"});
    expect("R6", granted.clone(), "2026-03-09", "2026-03-10", "按期办结");
    // A second request is measured by the extended expiry.
    let second = json!({"arrested": "2026-01-10", "extension_requested": ["2026-03-02", "2026-04-05"],
                        "extension_granted": "2026-03-09"});
    let out = run(json!({"rule": "R6", "events": second, "as_of": "2026-04-06"}));
    assert_eq!((&out["limits"][0]["due"], &out["limits"][0]["state"]), (&json!("2026-04-03"), &json!("超期已办")));
    assert_eq!((&out["limits"][1]["due"], &out["limits"][1]["state"]), (&json!("2026-04-10"), &json!("未到期")));

    let served = json!({"hearing_date": "2026-03-20", "indictment_copy_served": {"被告人": "2026-03-01", "辩护人": null},
                        "summons_served": "2026-03-10"});
    let out = run(json!({"rule": "R8", "events": served, "as_of": "2026-03-11"}));
    assert_eq!((&out["due"], &out["state"]), (&json!("2026-03-10"), &json!("超期未办")));
    assert_eq!(out["limits"][0]["missing_recipients"], json!(["辩护人"]));
    let moved = json!({"hearing_date": ["2026-03-20", "2026-04-10"],
                       "indictment_copy_served": {"被告人": "2026-03-01", "辩护人": "2026-03-31"}, "summons_served": "2026-03-10"});
    expect("R8", moved, "2026-04-01", "2026-04-07", "按期办结");
    expect("R8", json!({"hearing_date": "2026-03-20", "simplified": true}), "2026-03-11", "-", "无法判断");
}

#[test]
fn effect_follows_the_recipient_served_last() {
    let served = json!({"judgment_served": {"被告人": "2026-04-20", "检察院": "2026-04-24"}});
    expect("R9", served, "2026-05-10", "2026-05-18", "未到期");
    let missing = json!({"judgment_served": {"被告人": "2026-04-20", "检察院": null}});
    expect("R9", missing, "2026-05-10", "-", "无法判断");
    expect("R10", json!({"correction_documents_received": "2026-09-28"}), "2026-10-08", "2026-10-08", "到期当日");
}

#[test]
fn administrative_rules() {
    expect("penalty_decision", json!({"filed": "2026-01-05"}), "2026-04-01", "2026-04-05", "临期");
    // 20 working days over Spring Festival (15-23 off, 14 and 28 February worked).
    expect("information_request", json!({"request_received": "2026-02-02"}), "2026-02-03", "2026-03-06", "未到期");
    let consulted = json!({"request_received": "2026-03-02", "consultation_sent": "2026-03-04", "consultation_received": "2026-03-11"});
    expect("information_request", consulted, "2026-03-12", "2026-04-07", "未到期");
    let corrected = json!({"request_received": "2026-03-02", "corrected": "2026-03-11"});
    expect("information_request", corrected, "2026-03-12", "2026-04-09", "未到期");
    expect(
        "hazard_rectification",
        json!({"rectification_ordered": "2026-03-02", "rectify_by": "2026-03-20"}),
        "2026-03-21",
        "2026-03-20",
        "超期未办",
    );
    let out = run(json!({"rule": "licence_warning", "as_of": "2026-05-01",
        "events": {"penalty_decided": ["2026-02-28", "2026-03-01", "2026-03-30"]}}));
    assert_eq!((&out["reached"], &out["periods"][0]["since"]), (&json!(true), &json!("2026-03-30")));
    let out = run(json!({"rule": "R2", "trigger": "2030-01-01"}));
    assert!(out["warnings"][0].as_str().is_some_and(|w| w.contains("2030")), "{out}");
}

#[test]
fn a_timeline_has_the_limits_that_apply() {
    let events = json!({"detained": "2026-01-02", "arrest_requested": "2026-01-04", "arrested": "2026-01-10"});
    let case = Events::from_json(events.as_object().expect("object"), &Default::default()).expect("valid");
    let context = Context { rules: &RULES, calendar: CATALOGUE.calendar(), as_of: day("2026-01-11"), explain: false };
    let rules: Vec<_> = assess_all(&case, context).into_iter().map(|a| (a.rule, a.state)).collect();
    let expected = [
        ("R1", State::Running),
        ("R1a", State::ClosedInTime),
        ("R2", State::DueSoon),
        ("R4", State::ClosedInTime),
        ("R6", State::Running),
    ];
    assert_eq!(rules, expected.map(|(r, s)| (r.to_string(), s)));
}

#[test]
fn wrong_bodies_say_what_is_wrong() {
    let error = |body: Value| evaluate(body, &RULES, CATALOGUE.calendar()).expect_err("refused").to_string();
    assert!(error(json!({"rule": "R99", "trigger": "2026-01-01"})).contains("R99"));
    assert!(error(json!({"rule": "R1", "trigger": "2026-02-30"})).contains("2026-02-30"));
    assert!(error(json!({"rule": "R1", "trigger": "99999-02-30"})).contains("trigger"));
    assert!(error(json!({"rule": "R1", "trigger": "2026-01-01", "params": {"month": 2}})).contains("month"));
    assert!(
        error(json!({"rule": "R1", "trigger": "2026-01-01", "params": {"days": 3, "working_days": 2}}))
            .contains("工作日")
    );
    assert!(error(json!({"rule": "R1", "events": {"arrested": 5}, "as_of": "2026-01-01"})).contains("arrested"));
    assert!(error(json!({"rule": "R1", "events": {}})).contains("as_of"));
    assert!(error(json!({"rule": "R1"})).contains("trigger"));
}

/// An oracle in another style: walks the calendar one day at a time and asks of each day
/// whether the period is over, from the words of the articles.
mod oracle {
    use super::*;

    fn last_of_month(day: NaiveDate) -> bool {
        day.succ_opt().is_none_or(|next| next.month() != day.month())
    }

    fn off(day: NaiveDate) -> bool {
        !CATALOGUE.calendar().is_workday(day)
    }

    /// The day on which the n-th month is complete.
    pub fn months(start: NaiveDate, n: i32) -> NaiveDate {
        let mut today = start;
        let mut passed = 0;
        while passed < n {
            today = today.succ_opt().expect("in range");
            let complete = if last_of_month(start) {
                last_of_month(today)
            } else {
                today.day() == start.day() || (last_of_month(today) && today.day() < start.day())
            };
            passed += i32::from(complete);
        }
        today
    }

    pub fn days(start: NaiveDate, n: i32) -> NaiveDate {
        (0..n.abs()).fold(start, |d, _| if n < 0 { d.pred_opt() } else { d.succ_opt() }.expect("in range"))
    }

    pub fn roll(mut day: NaiveDate) -> NaiveDate {
        while off(day) {
            day = day.succ_opt().expect("in range");
        }
        day
    }

    pub fn working_days(start: NaiveDate, n: i32) -> NaiveDate {
        start.iter_days().skip(1).filter(|d| !off(*d)).nth(n as usize - 1).expect("in range")
    }

    /// Custody: each day from the arrest on, ask whether it is still covered.
    pub fn custody(arrest: NaiveDate, grants: &[NaiveDate], pause: Option<(NaiveDate, NaiveDate)>) -> NaiveDate {
        let mut total = 2;
        let paused = |until: NaiveDate| match pause {
            Some((from, to)) if from <= until => from.iter_days().take_while(|d| *d < to).count() as i32,
            _ => 0,
        };
        let limit = |total: i32, today: NaiveDate| {
            let plain = months(arrest, total);
            let counts = pause.is_some_and(|(from, _)| from <= plain && from <= today);
            if counts { days(plain, paused(plain)) } else { plain }
        };
        let mut today = arrest;
        loop {
            if today > arrest {
                for _ in grants.iter().filter(|g| **g == today) {
                    total = match total {
                        2 => 3,
                        3 => 5,
                        _ => 7,
                    };
                }
            }
            if today >= limit(total, today) {
                return today;
            }
            today = today.succ_opt().expect("in range");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn counting_agrees_with_the_oracle(offset in 0u64..2_500, months in 0i32..14, days in -40i32..95, excl in 0i32..60, roll: bool, custody: bool) {
        let start = day("2019-06-01") + chrono::Days::new(offset);
        let months = if days < 0 { 0 } else { months };
        let raw = oracle::days(oracle::days(oracle::months(start, months), days), excl);
        let due = if roll && !custody && (days >= 0) { oracle::roll(raw) } else { raw };
        let roll = roll && days >= 0;
        let out = run(json!({"rule": "R1", "trigger": start, "params": {"months": months, "days": days, "excl": excl, "roll": roll, "custody": custody}}));
        prop_assert_eq!(&out["raw_due"], &json!(raw));
        prop_assert_eq!(&out["due"], &json!(due));
    }

    #[test]
    fn working_days_agree_with_the_oracle(offset in 0u64..2_300, n in 1i32..60) {
        let start = day("2019-06-01") + chrono::Days::new(offset);
        let period = Period { working_days: n, ..Period::default() };
        prop_assert_eq!(period.end(start, MonthEnd::SameDay, CATALOGUE.calendar()), oracle::working_days(start, n));
    }

    #[test]
    fn custody_agrees_with_the_oracle(
        offset in 0u64..2_000,
        grants in proptest::collection::btree_set(1u64..260, 0..4),
        pause in proptest::option::of((1u64..240, 1u64..60)),
    ) {
        let arrest = day("2019-06-01") + chrono::Days::new(offset);
        let on = |n: u64| arrest + chrono::Days::new(n);
        let grants: Vec<_> = grants.into_iter().map(on).collect();
        let pause = pause.map(|(from, n)| (on(from), on(from + n)));
        let mut events = json!({"arrested": arrest, "extension_granted": grants.clone()});
        if let Some((from, to)) = pause {
            events["psychiatric_entrusted"] = json!(from);
            events["psychiatric_opinion"] = json!(to);
        }
        let as_of = on(900);
        let out = run(json!({"rule": "R1", "events": events, "as_of": as_of}));
        prop_assert_eq!(&out["due"], &json!(oracle::custody(arrest, &grants, pause)));
    }

    /// A state never goes back to an earlier one while nothing happens.
    #[test]
    fn states_only_worsen_with_time(offset in 0u64..2_000, after in 0u64..200) {
        let arrest = day("2019-06-01") + chrono::Days::new(offset);
        let events = Events::from_json(json!({"arrested": arrest}).as_object().expect("object"), &Default::default()).expect("valid");
        let state = |n: u64| {
            let as_of = arrest + chrono::Days::new(n);
            let context = Context { rules: &RULES, calendar: CATALOGUE.calendar(), as_of, explain: false };
            assess(RULES.get("R1").expect("R1"), &events, context).state
        };
        prop_assert!(state(after) <= state(after + 1));
    }
}

/// 100,000 cases under R1 to R10; prints the rate (the target is a million cases in a minute).
#[test]
fn many_cases() {
    let rules: Vec<_> = RULES.iter().filter(|r| r.name.starts_with('R')).collect();
    let started = std::time::Instant::now();
    let mut overdue = 0usize;
    let n = if std::env::var_os("ZONGLAN_SHARED").is_some() { 100_000 } else { 1_000 };
    for i in 0..n {
        let on = |d: u64| Some(day("2025-01-01") + chrono::Days::new(i % 365 + d));
        let event = |name: &str, d| Event { name: name.into(), date: on(d), to: None };
        let case = Events::new(
            [
                event("filed", 0),
                event("detained", 3),
                event("arrest_requested", 6),
                event("arrested", 12),
                event("extension_granted", 60),
                event("transferred", 95 + i % 40),
                event("under_review", 96 + i % 40),
                event("returned_for_investigation", 120 + i % 40),
                event("resubmitted", 148 + i % 40),
                event("indicted", 175 + i % 40),
                event("accepted", 180 + i % 40),
                event("heard", 210 + i % 60),
            ],
            Default::default(),
        );
        let context =
            Context { rules: &RULES, calendar: CATALOGUE.calendar(), as_of: day("2025-12-01"), explain: false };
        overdue += rules.iter().filter(|rule| assess(rule, &case, context).state == State::Overdue).count();
    }
    let rate = n as f64 / started.elapsed().as_secs_f64();
    println!("{n} cases under {} rules: {rate:.0} cases/s on one core, {overdue} overdue", rules.len());
    assert!(overdue > 0);
}
