//! Reading the catalogue: the packs carried in the binary, overlaid by folders on disk.
//!
//! Files are TOML. Unknown keys are errors; every error names file, line and what to do.

use crate::board::Board;
use crate::calendar::{Calendar, CalendarYear};
use crate::check;
use crate::codes::CodeList;
use crate::dataset::{Dataset, Field, FieldType, Measure};
use crate::default_board::default_board;
use crate::expand::{self, Part};
use crate::policy::{Policy, Role};
use crate::service::Service;
use include_dir::{Dir, include_dir};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

static PACKS: Dir = include_dir!("$CARGO_MANIFEST_DIR/packs");

/// Everything that is declared, checked as a whole.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    datasets: BTreeMap<String, Arc<Dataset>>,
    codes: BTreeMap<String, Arc<CodeList>>,
    boards: BTreeMap<String, Arc<Board>>,
    services: BTreeMap<String, Arc<Service>>,
    /// Made for registers without a board of their own; see [`default_board`].
    default_boards: BTreeMap<String, Arc<Board>>,
    policy: Policy,
    calendar: Calendar,
    files: BTreeMap<(String, String), SourceFile>,
    /// Modules of the scope, and the files of the datasets and boards that name them.
    claims: BTreeMap<String, Vec<String>>,
    version: String,
}

/// Kinds of declared files that other crates parse; the catalogue keeps their text.
pub const FILE_KINDS: [&str; 14] = [
    "indices",
    "deadlines",
    "influence",
    "discretion",
    "search",
    "synonyms",
    "extract",
    "opinion",
    "checks",
    "hints",
    "associations",
    "risks",
    "briefings",
    "streams",
];

/// What is wrong with the files. Displayed one a line: `file:line: what (hint)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct CatalogueErrors(pub Vec<Problem>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A declared file: its path inside the packs and its text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

impl Catalogue {
    /// The packs of the binary, and the files of `overlays` over them (a file of the same
    /// `<kind>/<name>` replaces the one carried).
    pub fn load(packs: &[String], overlays: &[&Path]) -> Result<Self, CatalogueErrors> {
        let mut files = Self::carried(packs)?;
        for folder in overlays {
            files.extend(read_folder(folder)?);
        }
        Self::parse(&files)
    }

    /// Every pack of the binary.
    pub fn builtin() -> Result<Self, CatalogueErrors> {
        Self::load(&[], &[])
    }

    fn carried(packs: &[String]) -> Result<Vec<SourceFile>, CatalogueErrors> {
        for pack in packs {
            if PACKS.get_dir(pack).is_none() {
                let known: Vec<_> = PACKS.dirs().map(|d| d.path().display().to_string()).collect();
                return Err(problem("config", 0, format!("no pack '{pack}'; packs: {}", known.join(", "))));
            }
        }
        let mut files = Vec::new();
        for dir in PACKS.dirs() {
            let name = dir.path().display().to_string();
            if name == "base" || packs.is_empty() || packs.contains(&name) {
                collect(dir, &mut files);
            }
        }
        Ok(files)
    }

    /// Parses and checks files; later files replace earlier ones of the same kind and name.
    pub fn parse(files: &[SourceFile]) -> Result<Self, CatalogueErrors> {
        let mut catalogue = Self::default();
        let mut problems = Vec::new();
        let mut roles: BTreeMap<String, Role> = BTreeMap::new();
        let mut years: BTreeMap<i32, CalendarYear> = BTreeMap::new();
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        let mut origin: BTreeMap<(String, String), SourceFile> = BTreeMap::new();
        let mut hasher = blake3::Hasher::new();
        for file in files {
            hasher.update(file.path.as_bytes());
            hasher.update(file.text.as_bytes());
            let kind = Path::new(&file.path)
                .parent()
                .and_then(|p| p.file_name())
                .and_then(|n| n.to_str())
                .unwrap_or_default()
                .to_string();
            let mut remember = |name: &str| origin.insert((kind.clone(), name.to_string()), file.clone());
            let outcome = match kind.as_str() {
                "datasets" => read::<Dataset>(file).map(|mut d| {
                    d.pack = pack_of(&file.path);
                    remember(&d.name);
                    catalogue.datasets.insert(d.name.clone(), Arc::new(d));
                }),
                "parts" => read::<Part>(file).map(|p| {
                    parts.insert(p.name.clone(), p);
                }),
                "codes" => read::<CodeList>(file).map(|c| {
                    remember(&c.name);
                    catalogue.codes.insert(c.name.clone(), Arc::new(c));
                }),
                "boards" => read::<Board>(file).map(|mut b| {
                    crate::board_layout::complete(&mut b);
                    remember(&b.name);
                    catalogue.boards.insert(b.name.clone(), Arc::new(b));
                }),
                "services" => read::<Service>(file).map(|s| {
                    remember(&s.name);
                    catalogue.services.insert(s.name.clone(), Arc::new(s));
                }),
                "policy" => read::<Role>(file).map(|r| {
                    remember(&r.name);
                    roles.insert(r.name.clone(), r);
                }),
                "calendar" => read::<CalendarYear>(file).map(|y| {
                    years.insert(y.year, y);
                }),
                raw if FILE_KINDS.contains(&raw) => read::<toml::Table>(file).map(|_| {
                    let stem = Path::new(&file.path).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
                    catalogue.files.insert((kind.clone(), stem.to_string()), file.clone());
                }),
                other => Err(Problem {
                    file: file.path.clone(),
                    line: 0,
                    message: format!(
                        "unknown folder '{other}'; a pack has datasets, parts, codes, boards, services, policy, calendar, {}",
                        FILE_KINDS.join(", ")
                    ),
                }),
            };
            problems.extend(outcome.err());
        }
        catalogue.policy = Policy::new(roles.into_values().collect());
        catalogue.calendar = Calendar::new(years.into_values());
        catalogue.version = hasher.finalize().to_hex()[..16].to_string();
        catalogue.claims = claims(&catalogue, &origin);
        for missing in expand::expand(&mut catalogue.datasets, &mut catalogue.codes, &parts) {
            problems.push(check::at(&origin, "datasets", &missing.dataset, &missing.word, missing.message));
        }
        catalogue.default_boards = catalogue
            .datasets()
            .filter(|d| d.register.is_some() && !catalogue.boards.contains_key(&d.name))
            .filter_map(|d| default_board(d).map(|board| (d.name.clone(), Arc::new(board))))
            .collect();
        if problems.is_empty() {
            problems = check::check(&catalogue, &origin);
        }
        if problems.is_empty() { Ok(catalogue) } else { Err(CatalogueErrors(problems)) }
    }

    pub fn dataset(&self, name: &str) -> Option<&Arc<Dataset>> {
        self.datasets.get(name)
    }

    pub fn datasets(&self) -> impl Iterator<Item = &Arc<Dataset>> {
        self.datasets.values()
    }

    pub fn children<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a Arc<Dataset>> {
        self.datasets.values().filter(move |d| d.parent.as_ref().is_some_and(|p| p.dataset == parent))
    }

    pub fn codes(&self, name: &str) -> Option<&Arc<CodeList>> {
        self.codes.get(name)
    }

    pub fn code_lists(&self) -> impl Iterator<Item = &Arc<CodeList>> {
        self.codes.values()
    }

    /// The list that names the values of a code or region field.
    pub fn codes_of(&self, field: &Field) -> Option<&Arc<CodeList>> {
        match field.kind {
            FieldType::Code => self.codes(field.codes.as_deref()?),
            FieldType::Region => self.codes(field.codes.as_deref().unwrap_or("region")),
            _ => None,
        }
    }

    /// A declared board, or the default one of the register of that name.
    pub fn board(&self, name: &str) -> Option<&Arc<Board>> {
        self.boards.get(name).or_else(|| self.default_boards.get(name))
    }

    /// The declared boards, without the default ones.
    pub fn boards(&self) -> impl Iterator<Item = &Arc<Board>> {
        self.boards.values()
    }

    pub(crate) fn default_boards(&self) -> impl Iterator<Item = &Arc<Board>> {
        self.default_boards.values()
    }

    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The declared files of a kind (see [`FILE_KINDS`]) with their names (file names without `.toml`), by name.
    pub fn files<'a>(&'a self, kind: &str) -> impl Iterator<Item = (&'a str, &'a SourceFile)> {
        let kind = kind.to_string();
        self.files.iter().filter(move |((k, _), _)| *k == kind).map(|((_, name), file)| (name.as_str(), file))
    }

    /// Reads a declared file as `T`; `None` where there is no file of that name.
    ///
    /// # Errors
    /// File, line and what is wrong; unknown keys too, where `T` denies them.
    pub fn parse_file<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Result<Option<T>, Problem> {
        self.files.get(&(kind.to_string(), name.to_string())).map(read).transpose()
    }

    pub(crate) fn claims(&self) -> &BTreeMap<String, Vec<String>> {
        &self.claims
    }

    /// A hash of all files.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The measure that `name` or `dataset.name` means, seen from a dataset.
    pub fn measure<'a>(&'a self, dataset: &str, name: &str) -> Option<(&'a Arc<Dataset>, &'a Measure)> {
        let (owner, short) = name.split_once('.').unwrap_or((dataset, name));
        let dataset = self.dataset(owner)?;
        Some((dataset, dataset.measure(short)?))
    }
}

fn claims(catalogue: &Catalogue, origin: &BTreeMap<(String, String), SourceFile>) -> BTreeMap<String, Vec<String>> {
    let datasets = catalogue.datasets().map(|d| ("datasets", &d.name, &d.modules));
    let boards = catalogue.boards().map(|b| ("boards", &b.name, &b.modules));
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let services = catalogue.services().map(|s| ("services", &s.name, &s.modules));
    for (kind, name, modules) in datasets.chain(boards).chain(services) {
        let Some(file) = origin.get(&(kind.to_string(), name.clone())) else { continue };
        for module in modules {
            claims.entry(module.clone()).or_default().push(file.path.clone());
        }
    }
    claims
}

/// The pack of a file, `police` of `police/datasets/premises.toml`; of an overlay the same place.
fn pack_of(path: &str) -> String {
    let mut above = Path::new(path).ancestors().skip(2);
    above.next().and_then(|p| p.file_name()).and_then(|n| n.to_str()).unwrap_or_default().to_string()
}

fn problem(file: &str, line: usize, message: String) -> CatalogueErrors {
    CatalogueErrors(vec![Problem { file: file.to_string(), line, message }])
}

fn collect(dir: &Dir, files: &mut Vec<SourceFile>) {
    for file in dir.files().filter(|f| f.path().extension().is_some_and(|e| e == "toml")) {
        if let Some(text) = file.contents_utf8() {
            files.push(SourceFile { path: file.path().display().to_string(), text: text.to_string() });
        }
    }
    dir.dirs().for_each(|d| collect(d, files));
}

/// The TOML files of a folder and its sub-folders, by path.
fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, CatalogueErrors> {
    let fail = |e: std::io::Error| problem(&folder.display().to_string(), 0, format!("cannot be read: {e}"));
    let mut files = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            files.extend(read_folder(&path)?);
        } else if path.extension().is_some_and(|e| e == "toml") {
            let text = std::fs::read_to_string(&path)
                .map_err(|e| problem(&path.display().to_string(), 0, format!("cannot be read: {e}")))?;
            files.push(SourceFile { path: path.display().to_string(), text });
        }
    }
    Ok(files)
}

fn read<T: DeserializeOwned>(file: &SourceFile) -> Result<T, Problem> {
    toml::from_str(&file.text).map_err(|error| {
        let line =
            error.span().map_or(0, |span| file.text[..span.start.min(file.text.len())].matches('\n').count() + 1);
        let mut message = error.message().replace('\n', " ");
        // serde's list of known keys is the hint; add the nearest one first.
        if let Some(rest) = message.strip_prefix("unknown field `") {
            let key = rest.split('`').next().unwrap_or_default().to_string();
            let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
            if let Some(near) = check::nearest(&key, known.iter().copied()) {
                message = format!("{message}; did you mean '{near}'?");
            }
        }
        Problem { file: file.path.clone(), line, message }
    })
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
