//! The worked examples of docs/models-text.md are what the program computes.

use serde_json::Value;
use zonglan_catalog::Catalogue;

/// Whether `found` has everything that `wanted` has; numbers to 1e-4.
fn holds(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|f| holds(value, f)))
        }
        (Value::Number(wanted), Value::Number(found)) => {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-4;
            wanted.as_f64().zip(found.as_f64()).is_some_and(|(a, b)| near(a, b))
        }
        _ => wanted == found,
    }
}

#[test]
fn examples_are_computed_by_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/models-text.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let catalogue = Catalogue::builtin().expect("the packs are valid");
    let mut pending: Option<(String, Value)> = None;
    let mut checked = 0;
    let mut blocks = text.split("```").skip(1).step_by(2);
    for block in &mut blocks {
        let (head, body) = block.split_once('\n').unwrap_or((block, ""));
        let json = || serde_json::from_str::<Value>(body).unwrap_or_else(|e| panic!("{head}: {e}"));
        if let Some(model) = head.strip_prefix("json evaluate ") {
            let given = json();
            let out =
                zonglan_models::evaluate(model.trim(), given, &catalogue).unwrap_or_else(|e| panic!("{model}: {e}"));
            pending = Some((model.trim().to_string(), out));
        } else if head.trim() == "json gives" {
            let (model, out) = pending.take().expect("an evaluate block before");
            let wanted = json();
            assert!(holds(&wanted, &out), "{model}: the page says {wanted}, the program {out}");
            checked += 1;
        }
    }
    assert!(pending.is_none() && checked >= 7, "{checked} examples");
}
