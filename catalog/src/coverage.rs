//! Coverage of the scope: which modules the declared files claim, and which of the claims a test backs.
//!
//! `scope.tsv` lists the modules of the systems to be served. Datasets and boards claim them
//! (`modules = [...]`), tests back them (`// modules: P013` over the test). `coverage.json` holds
//! the marks of the tests; `tests/it/coverage.rs` keeps it in step with the sources.

use crate::load::Catalogue;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static SCOPE: LazyLock<Vec<Module>> = LazyLock::new(|| read_scope(include_str!("../scope.tsv")));

static TESTS: LazyLock<BTreeMap<String, Vec<String>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../coverage.json")).unwrap_or_default());

/// The kind of modules that are not built, whatever anybody claims.
pub const EXCLUDED: &str = "excluded";

/// A row of the scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Module {
    pub id: String,
    pub system: String,
    pub subsystem: String,
    pub module: String,
    /// screen, query, register, workflow, model, service, integration, geo, platform, quality or excluded.
    pub kind: String,
    pub note: String,
}

impl Module {
    pub fn is_excluded(&self) -> bool {
        self.kind == EXCLUDED
    }
}

fn read_scope(text: &str) -> Vec<Module> {
    let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    rows.map(|line| {
        let mut cells = line.split('\t').map(|cell| cell.trim().to_string());
        let mut next = || cells.next().unwrap_or_default();
        Module { id: next(), system: next(), subsystem: next(), module: next(), kind: next(), note: next() }
    })
    .collect()
}

/// Every module of the scope, in the order of its file.
pub fn scope() -> &'static [Module] {
    &SCOPE
}

/// The module of an id.
pub fn module(id: &str) -> Option<&'static Module> {
    SCOPE.iter().find(|m| m.id == id)
}

/// The tests that are marked with a module: `file::test`.
pub fn tests_of(id: &str) -> &'static [String] {
    TESTS.get(id).map_or(&[], Vec::as_slice)
}

/// What is wrong with a claim; `None` where it may stand.
pub(crate) fn wrong_claim(id: &str) -> Option<String> {
    match module(id) {
        None => {
            let near = crate::check::nearest(id, SCOPE.iter().map(|m| m.id.as_str()));
            let hint = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            Some(format!("module '{id}' is not in the scope (catalog/scope.tsv){hint}"))
        }
        Some(found) if found.is_excluded() => {
            Some(format!("module '{id}' ({}) is excluded and cannot be served: {}", found.module, found.note))
        }
        Some(_) => None,
    }
}

/// Modules served and modules to be served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub served: usize,
    pub of: usize,
}

impl Count {
    fn add(&mut self, served: bool) {
        self.of += 1;
        self.served += usize::from(served);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct System {
    pub served: usize,
    /// Without the excluded ones.
    pub of: usize,
    pub excluded: usize,
    pub kinds: BTreeMap<String, Count>,
}

/// A module that a file claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    #[serde(flatten)]
    pub module: &'static Module,
    /// The files that name it.
    pub files: Vec<String>,
    /// The tests that are marked with it: `file::test`.
    pub tests: Vec<String>,
}

/// How much of the scope is served. Served: claimed by a file and marked at a test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// All systems, without the excluded modules.
    pub total: Count,
    pub kinds: BTreeMap<String, Count>,
    pub systems: BTreeMap<String, System>,
    pub served: Vec<Claim>,
    /// Claimed by a file, but no test is marked with them.
    pub untested: Vec<Claim>,
    pub excluded: Vec<&'static Module>,
}

impl Catalogue {
    /// Which modules of the scope this catalogue serves.
    pub fn coverage(&self) -> Coverage {
        let mut out = Coverage::default();
        for module in scope() {
            let system = out.systems.entry(module.system.clone()).or_default();
            if module.is_excluded() {
                system.excluded += 1;
                out.excluded.push(module);
                continue;
            }
            let files = self.claims().get(&module.id).cloned().unwrap_or_default();
            let claim = Claim { module, files, tests: tests_of(&module.id).to_vec() };
            let served = !claim.files.is_empty() && !claim.tests.is_empty();
            system.of += 1;
            system.served += usize::from(served);
            system.kinds.entry(module.kind.clone()).or_default().add(served);
            out.kinds.entry(module.kind.clone()).or_default().add(served);
            out.total.add(served);
            if served {
                out.served.push(claim);
            } else if !claim.files.is_empty() {
                out.untested.push(claim);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::SourceFile;

    #[test]
    fn the_scope_is_whole() {
        let mut seen = std::collections::BTreeSet::new();
        for module in scope() {
            assert!(seen.insert(&module.id), "{} stands twice", module.id);
            assert!(!module.system.is_empty() && !module.module.is_empty() && !module.kind.is_empty(), "{module:?}");
        }
        assert_eq!(scope().len(), 813);
        assert_eq!(module("L077").map(|m| m.kind.as_str()), Some("screen"));
        assert!(module("P001").is_some_and(Module::is_excluded));
    }

    #[test]
    fn marks_name_modules_that_are_built() {
        let marks: BTreeMap<String, Vec<String>> =
            serde_json::from_str(include_str!("../coverage.json")).expect("coverage.json is JSON");
        for (id, tests) in marks {
            assert_eq!(wrong_claim(&id), None);
            assert!(!tests.is_empty(), "{id}");
        }
    }

    #[test]
    fn counts_add_up_and_nothing_excluded_is_served() {
        let coverage = Catalogue::builtin().expect("the packs are valid").coverage();
        let of: usize = coverage.kinds.values().map(|k| k.of).sum();
        assert_eq!(of + coverage.excluded.len(), scope().len());
        assert_eq!((coverage.total.of, coverage.total.served), (of, coverage.served.len()));
        assert_eq!(coverage.systems.values().map(|s| s.of + s.excluded).sum::<usize>(), scope().len());
        assert!(!coverage.kinds.contains_key(EXCLUDED));
        assert_eq!(coverage.untested, [], "claimed without a test");
        assert!(coverage.served.iter().any(|c| c.module.id == "L077" && c.files[0].ends_with("boards/home.toml")));
    }

    fn claiming(modules: &str) -> String {
        let text = format!(
            "name = \"a\"\nlabel = {{ zh = \"甲\", en = \"A\" }}\nsource = \"import\"\nowner = \"x\"\nshared = true\nmodules = {modules}\nfield = []\n"
        );
        let file = SourceFile { path: "t/datasets/a.toml".into(), text };
        Catalogue::parse(&[file]).map_or_else(|e| e.to_string(), |c| format!("served {}", c.coverage().total.served))
    }

    #[test]
    fn wrong_claims_are_refused_with_their_line() {
        let unknown = claiming("[\"L977\"]");
        assert!(unknown.starts_with("t/datasets/a.toml:6: module 'L977' is not in the scope"), "{unknown}");
        assert!(claiming("[\"P001\"]").contains("is excluded"), "{}", claiming("[\"P001\"]"));
        assert!(claiming("[\"L077\", \"L077\"]").contains("named twice"));
        // A claim alone serves nothing: C009 has no test.
        assert_eq!(claiming("[\"L077\", \"C009\"]"), format!("served {}", usize::from(!tests_of("L077").is_empty())));
    }
}
