//! Configuration: commented defaults compiled in, overlaid by a file, then by `ZONGLAN_*`.

use anyhow::{Context, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The commented default file; also what `zonglan doctor --config` prints.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Variables that are not settings: secrets and switches of tests.
const NOT_SETTINGS: [&str; 3] = ["ZONGLAN_DEMO_PASSWORD", "ZONGLAN_SHARED", "ZONGLAN_FONT"];

/// All settings, resolved and checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub packs: Vec<String>,
    pub overlays: Vec<PathBuf>,
    pub data: Data,
    pub server: Server,
    pub session: Session,
    pub limits: Limits,
    pub cache: Cache,
    pub clickhouse: ClickHouse,
    pub map: Map,
    pub log: Log,
    pub monitor: Monitor,
    pub demo: Demo,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: String,
    pub behind_proxy: bool,
    pub timeout_s: u64,
    pub body_mb: usize,
    pub import_mb: u64,
    pub drain_s: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub idle_hours: u32,
    pub max_hours: u32,
    /// Sessions of one user at the same time.
    pub per_user: usize,
    pub token_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub logins_per_minute: u32,
    pub requests_per_second: u32,
    pub queries: usize,
    pub queries_waiting: usize,
    pub queries_wait_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub answers_mb: u64,
    pub frames_mb: u64,
    pub columns_mb: usize,
}

/// The server that has the columnar store; an empty address: the data directory has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickHouse {
    pub url: String,
    pub database: String,
    pub user: String,
    pub password: String,
    pub cluster: String,
    pub timeout_s: u64,
}

/// The ground of maps.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    pub tiles: String,
    /// The system that the tiles are cut in.
    pub tiles_crs: TilesCrs,
    pub approval: String,
    pub attribution: String,
}

/// Web Mercator of these degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TilesCrs {
    /// WGS-84 or CGCS2000.
    Wgs84,
    /// Shifted, as most commercial services of China are.
    Gcj02,
}

impl Map {
    /// The line below images of maps: the maker and the 审图号.
    pub fn credit(&self, lang: zonglan_dashboards::pages::Lang) -> String {
        let number = match self.approval.as_str() {
            "" => String::new(),
            approval => format!("{}{approval}", lang.t("审图号：", "Map approval: ")),
        };
        [self.attribution.clone(), number].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" · ")
    }

    /// Scheme and host of the tiles, for the content policy of pages; `None` for the own host.
    pub fn origin(&self) -> Option<&str> {
        let rest = self.tiles.split_once("://")?.1;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Some(&self.tiles[..self.tiles.len() - rest.len() + host.len()])
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    pub every_s: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    pub seed: u64,
    pub rows: u64,
    /// Empty: the day before the city is made.
    pub until: String,
    /// Texts for more than a million incidents, too.
    pub narratives: bool,
    pub live_s: u64,
}

impl Config {
    /// Resolves the settings: defaults, then `file`, then those of `environment` that start with
    /// `ZONGLAN_`. Nothing else is read, so that precedence can be tested.
    pub fn resolve(file: Option<&Path>, environment: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut settings: toml::Table = toml::from_str(DEFAULTS).context("the default configuration does not parse")?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            let table: toml::Table =
                toml::from_str(&text).with_context(|| format!("{} is not valid TOML", path.display()))?;
            overlay(&mut settings, &table, "").map_err(|key| {
                let last = key.rsplit('.').next().unwrap_or(&key);
                let line = text
                    .lines()
                    .position(|l| l.trim_start().trim_start_matches('[').starts_with(last))
                    .map_or(0, |l| l + 1);
                anyhow::anyhow!(
                    "{}:{line}: unknown setting '{key}'; `zonglan doctor --settings` prints all of them",
                    path.display()
                )
            })?;
        }
        let known = paths(&settings, "");
        for (variable, text) in environment.iter().filter(|(name, _)| name.starts_with("ZONGLAN_")) {
            if NOT_SETTINGS.contains(&variable.as_str()) || variable.starts_with("ZONGLAN_TEST_") {
                continue;
            }
            let Some(path) = known.iter().find(|path| variable_of(path) == *variable) else {
                bail!(
                    "unknown variable {variable}; settings are named like ZONGLAN_SERVER_LISTEN (`zonglan doctor --settings` prints all of them)"
                );
            };
            set(&mut settings, path, text).with_context(|| format!("variable {variable}"))?;
        }
        let config: Self = settings
            .try_into()
            .map_err(|error: toml::de::Error| anyhow::anyhow!("configuration: {}", error.message()))?;
        config.check()?;
        Ok(config)
    }

    /// The process environment as the map that [`Config::resolve`] takes.
    pub fn environment() -> BTreeMap<String, String> {
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
    }

    /// Checks what types cannot say.
    pub fn check(&self) -> anyhow::Result<()> {
        let l = &self.limits;
        if self.session.per_user == 0 {
            bail!("session.per_user must be at least 1");
        }
        if l.queries == 0 || l.logins_per_minute == 0 || l.requests_per_second == 0 {
            bail!("limits.queries, limits.logins_per_minute and limits.requests_per_second must be at least 1");
        }
        let tiles = &self.map.tiles;
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | ',' | '\'' | '"');
        if !(tiles.is_empty() || tiles.chars().all(plain) && ["{z}", "{x}", "{y}"].iter().all(|p| tiles.contains(p))) {
            bail!("map.tiles takes an address with {{z}}, {{x}} and {{y}}, not '{tiles}'");
        }
        if self.session.idle_hours == 0 || self.session.max_hours < self.session.idle_hours {
            bail!("session.max_hours must be at least session.idle_hours, and that at least 1");
        }
        if !self.demo.until.is_empty() && self.demo.until.parse::<chrono::NaiveDate>().is_err() {
            bail!("demo.until takes a date such as 2026-06-30, not '{}'", self.demo.until);
        }
        Ok(())
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.server.timeout_s.max(1))
    }
}

/// Lays `over` on `base`; the error is the path of a key that `base` does not have.
fn overlay(base: &mut toml::Table, over: &toml::Table, prefix: &str) -> Result<(), String> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => overlay(inner, value, &path)?,
            (Some(slot), value) => *slot = value.clone(),
            (None, _) => return Err(path),
        }
    }
    Ok(())
}

fn paths(table: &toml::Table, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => found.extend(paths(inner, &path)),
            _ => found.push(path),
        }
    }
    found
}

fn variable_of(path: &str) -> String {
    format!("ZONGLAN_{}", path.replace('.', "_").to_uppercase())
}

/// Sets one key from text, in the type that its default has. Lists are separated by commas.
fn set(settings: &mut toml::Table, path: &str, text: &str) -> anyhow::Result<()> {
    let mut table = settings;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        let slot = table.get_mut(key).with_context(|| format!("no setting '{path}'"))?;
        if keys.peek().is_some() {
            table = slot.as_table_mut().with_context(|| format!("'{key}' is not a group"))?;
            continue;
        }
        *slot = match slot {
            toml::Value::Integer(_) => {
                toml::Value::Integer(text.parse().with_context(|| format!("'{text}' is not a whole number"))?)
            }
            toml::Value::Boolean(_) => {
                toml::Value::Boolean(text.parse().with_context(|| format!("'{text}' is neither true nor false"))?)
            }
            toml::Value::Array(_) => toml::Value::Array(
                text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(toml::Value::from).collect(),
            ),
            _ => toml::Value::String(text.to_string()),
        };
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn environment_beats_file_beats_defaults() {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "packs = [\"base\"]\n[server]\nlisten = \"0.0.0.0:1\"\ntimeout_s = 5\n")
            .expect("written");
        let config =
            Config::resolve(Some(file.path()), &environment(&[("ZONGLAN_SERVER_LISTEN", "[::1]:2"), ("PATH", "x")]))
                .expect("resolves");
        assert_eq!(config.server.listen, "[::1]:2");
        assert_eq!(config.server.timeout_s, 5);
        assert_eq!(config.server.drain_s, 10);
        assert_eq!(config.packs, ["base"]);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_place() {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "[server]\nlisten = \"x\"\nlissten = 1\n").expect("written");
        let error = Config::resolve(Some(file.path()), &BTreeMap::new()).expect_err("unknown key").to_string();
        assert!(error.contains(":3:") && error.contains("server.lissten"), "{error}");
        let error = Config::resolve(None, &environment(&[("ZONGLAN_SERVER_LISSTEN", "x")]))
            .expect_err("unknown variable")
            .to_string();
        assert!(error.contains("ZONGLAN_SERVER_LISSTEN"), "{error}");
        assert!(Config::resolve(None, &environment(&[("ZONGLAN_SERVER_TIMEOUT_S", "soon")])).is_err());
        assert!(
            Config::resolve(None, &environment(&[("ZONGLAN_DEMO_PASSWORD", "p"), ("ZONGLAN_TEST_CLICKHOUSE", "u")]))
                .is_ok()
        );
    }

    #[test]
    fn a_tile_service_is_an_address_with_places() {
        let config = |tiles: &str| Config::resolve(None, &environment(&[("ZONGLAN_MAP_TILES", tiles)]));
        let good = config("https://tiles.example.cn:8443/vec/{z}/{x}/{y}.png?k=1").expect("resolves");
        assert_eq!(good.map.origin(), Some("https://tiles.example.cn:8443"));
        assert_eq!(config("/tiles/{z}/{x}/{y}").expect("own host").map.origin(), None);
        assert!(config("https://tiles.example.cn/{z}/{x}").is_err());
        assert!(config("https://a; script-src *//{z}/{x}/{y}").is_err());
    }

    #[test]
    fn lists_and_groups_come_from_the_environment() {
        let config =
            Config::resolve(None, &environment(&[("ZONGLAN_OVERLAYS", "a, b"), ("ZONGLAN_LIMITS_QUERIES", "9")]))
                .expect("resolves");
        assert_eq!(config.overlays, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(config.limits.queries, 9);
    }
}
