//! Tests of reading: what a wrong file says.

use super::*;

fn parse(path: &str, text: &str) -> String {
    let file = SourceFile { path: path.to_string(), text: text.to_string() };
    Catalogue::parse(&[file]).expect_err("must be refused").to_string()
}

#[test]
fn unknown_keys_are_errors_with_file_line_and_hint() {
    let text = "name = \"a\"\nlabel = { zh = \"甲\", en = \"A\" }\nsource = \"import\"\nowner = \"x\"\nshard = true\nfield = []\n";
    let error = parse("t/datasets/a.toml", text);
    assert!(error.starts_with("t/datasets/a.toml:5:"), "{error}");
    assert!(error.contains("did you mean 'shared'?"), "{error}");
}

#[test]
fn names_that_lead_nowhere_are_found_with_their_line() {
    let text = r#"name = "a"
label = { zh = "甲", en = "A" }
source = "import"
owner = "x"
shared = true
time = "att"
field = [{ name = "at", label = { zh = "时", en = "At" }, type = "instant" }]
[[measure]]
name = "n"
label = { zh = "数", en = "N" }
agg = "sum"
field = "at"
definition = ""
"#;
    let error = parse("t/datasets/a.toml", text);
    assert!(error.contains("t/datasets/a.toml:6: unknown field 'att'; did you mean 'at'?"), "{error}");
    assert!(error.contains("needs a field of numbers"), "{error}");
    assert!(error.contains("needs a definition"), "{error}");
}

#[test]
fn an_overlay_replaces_and_adds() {
    let list = |zh: &str| SourceFile {
        path: "t/codes/c.toml".into(),
        text: format!("name = \"c\"\nlabel = {{ zh = \"{zh}\", en = \"C\" }}\nbasis = \"t\"\nitem = []\n"),
    };
    let catalogue = Catalogue::parse(&[list("旧"), list("新")]).expect("valid");
    assert_eq!(catalogue.codes("c").map(|c| c.label.zh.as_str()), Some("新"));
}

#[test]
fn the_carried_packs_are_valid() {
    let catalogue = Catalogue::builtin().unwrap_or_else(|e| panic!("{e}"));
    assert!(catalogue.dataset("incident").is_some());
    assert!(Catalogue::load(&["no_such".into()], &[]).is_err());
}

#[test]
fn files_of_other_crates_are_kept_and_read_strictly() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        #[expect(dead_code, reason = "only its reading is tested")]
        days: u32,
    }
    let file = |text: &str| SourceFile { path: "t/deadlines/r.toml".into(), text: text.into() };
    let catalogue = Catalogue::parse(&[file("days = 3\n")]).expect("valid");
    assert_eq!(catalogue.files("deadlines").map(|(name, _)| name).collect::<Vec<_>>(), ["r"]);
    assert!(catalogue.parse_file::<Small>("deadlines", "r").is_ok_and(|r| r.is_some()));
    assert!(catalogue.parse_file::<Small>("deadlines", "none").is_ok_and(|r| r.is_none()));
    let catalogue = Catalogue::parse(&[file("days = 3\ndayz = 4\n")]).expect("valid TOML");
    let problem = catalogue.parse_file::<Small>("deadlines", "r").expect_err("unknown key");
    assert!(problem.to_string().starts_with("t/deadlines/r.toml:2:"), "{problem}");
    assert!(parse("t/deadlines/r.toml", "days = \n").starts_with("t/deadlines/r.toml:1:"));
}
