//! Tables from the catalogue: their columns, the statements that make them, and what a changed
//! catalogue asks of tables that are there.

use std::collections::BTreeMap;
use std::fmt::Write;
use zonglan_catalog::dataset::{Dataset, Field, FieldType};

/// Where tables live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    pub database: String,
    /// The cluster's name as the server's configuration has it; `None`: one machine.
    pub cluster: Option<String>,
}

/// Columns that every table has before its fields: the row's key, the writer's number (the highest
/// one stands), whether the row is gone, the hash of its content, and the event time to sort and
/// partition by (1970 where there is none).
pub const OWN: [(&str, &str); 5] = [
    ("_key", "UInt128"),
    ("_version", "UInt64"),
    ("_deleted", "UInt8"),
    ("_content", "UInt64"),
    ("_at", "DateTime64(3, 'Asia/Shanghai')"),
];

/// A name as SQL has it.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A text as SQL has it.
pub fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The type of a field's column. Decimals are whole units of their scale, as everywhere in the
/// program: sums are exact, and both engines round in one place.
pub fn column_type(field: &Field) -> &'static str {
    match field.kind {
        FieldType::Code | FieldType::Region => "LowCardinality(Nullable(String))",
        FieldType::Text | FieldType::File | FieldType::Ref => "Nullable(String)",
        FieldType::Int | FieldType::Decimal => "Nullable(Int64)",
        FieldType::Bool => "Nullable(Bool)",
        FieldType::Date => "Nullable(Date32)",
        FieldType::Instant => "Nullable(DateTime64(3, 'Asia/Shanghai'))",
        FieldType::Point => "Tuple(lon Nullable(Float64), lat Nullable(Float64))",
    }
}

fn comment(field: &Field) -> String {
    let mut comment = field.label.zh.clone();
    if field.kind == FieldType::Decimal {
        let _ = write!(comment, " (10^-{})", field.scale);
    }
    comment
}

impl Layout {
    pub fn table(&self, name: &str) -> String {
        format!("{}.{}", quoted(&self.database), quoted(name))
    }

    /// The table that rows lie in; on a cluster one of each machine.
    fn local(&self, name: &str) -> String {
        if self.cluster.is_some() { self.table(&format!("{name}_local")) } else { self.table(name) }
    }

    fn on_cluster(&self) -> String {
        self.cluster.as_ref().map_or(String::new(), |c| format!(" ON CLUSTER {}", quoted(c)))
    }

    fn engine(&self, name: &str, arguments: &str) -> String {
        match &self.cluster {
            None => format!("ReplacingMergeTree({arguments})"),
            Some(_) => format!(
                "ReplicatedReplacingMergeTree('/clickhouse/tables/{{shard}}/{}/{name}', '{{replica}}', {arguments})",
                self.database
            ),
        }
    }

    pub fn create_database(&self) -> String {
        format!("CREATE DATABASE IF NOT EXISTS {}{}", quoted(&self.database), self.on_cluster())
    }

    /// The statements that make a dataset's table.
    pub fn create(&self, dataset: &Dataset) -> Vec<String> {
        let own = OWN.iter().map(|(name, kind)| format!("  {} {kind}", quoted(name)));
        let fields = dataset
            .field
            .iter()
            .map(|f| format!("  {} {} COMMENT {}", quoted(&f.name), column_type(f), text(&comment(f))));
        let index = "  INDEX _by_key _key TYPE bloom_filter(0.01) GRANULARITY 1".to_string();
        let columns: Vec<String> = own.chain(fields).chain([index]).collect();
        // One machine remembers the tokens of inserts only where it is told to; replicas always do.
        let settings =
            if self.cluster.is_some() { "" } else { "\nSETTINGS non_replicated_deduplication_window = 1000" };
        let mut statements = vec![format!(
            "CREATE TABLE IF NOT EXISTS {}{}\n(\n{}\n)\nENGINE = {}\nPARTITION BY toYear(_at)\nORDER BY (_at, _key){settings}",
            self.local(&dataset.name),
            self.on_cluster(),
            columns.join(",\n"),
            self.engine(&dataset.name, "_version, _deleted"),
        )];
        statements.extend(self.distributed(&dataset.name));
        statements
    }

    /// What the program itself remembers: per dataset its last commit, the rows it has, and how
    /// far the streams of input are taken over.
    pub fn create_commits(&self) -> Vec<String> {
        let mut statements = vec![format!(
            "CREATE TABLE IF NOT EXISTS {}{}\n(\n  dataset String,\n  commit UInt64,\n  version UInt64,\n  rows UInt64,\n  first_event Nullable(Int64),\n  watermark Nullable(Int64),\n  loaded_at Nullable(Int64),\n  cursors String\n)\nENGINE = {}\nORDER BY dataset",
            self.local("_commits"),
            self.on_cluster(),
            self.engine("_commits", "commit"),
        )];
        statements.extend(self.distributed("_commits"));
        statements
    }

    /// Rows of one key lie on one machine, so that each can tell the newest by itself.
    fn distributed(&self, name: &str) -> Option<String> {
        let cluster = self.cluster.as_ref()?;
        let by = if name == "_commits" { "cityHash64(dataset)" } else { "cityHash64(_key)" };
        Some(format!(
            "CREATE TABLE IF NOT EXISTS {} ON CLUSTER {} AS {}\nENGINE = Distributed({}, {}, {}, {by})",
            self.table(name),
            quoted(cluster),
            self.local(name),
            text(cluster),
            text(&self.database),
            text(&format!("{name}_local")),
        ))
    }

    fn add_column(&self, dataset: &Dataset, field: &Field) -> Vec<String> {
        let add = |table: String| {
            format!(
                "ALTER TABLE {table}{} ADD COLUMN IF NOT EXISTS {} {} COMMENT {}",
                self.on_cluster(),
                quoted(&field.name),
                column_type(field),
                text(&comment(field))
            )
        };
        let mut statements = vec![add(self.local(&dataset.name))];
        if self.cluster.is_some() {
            statements.push(add(self.table(&dataset.name)));
        }
        statements
    }
}

/// What has to happen to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Create {
        dataset: String,
        statements: Vec<String>,
    },
    /// A field that joined; rows stored before read as null.
    AddColumn {
        dataset: String,
        field: String,
        statements: Vec<String>,
    },
    /// A field with another type: its column must be loaded anew, which nobody does unasked.
    Refused {
        dataset: String,
        field: String,
        have: String,
        want: String,
    },
}

/// Pure: the steps from the tables that are there (columns and types by table) to those of the
/// datasets. Columns of fields that are gone stay, unread.
pub fn plan<'d>(
    layout: &Layout,
    datasets: impl Iterator<Item = &'d Dataset>,
    have: &BTreeMap<String, BTreeMap<String, String>>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for dataset in datasets {
        let Some(columns) = have.get(&dataset.name) else {
            steps.push(Step::Create { dataset: dataset.name.clone(), statements: layout.create(dataset) });
            continue;
        };
        for field in &dataset.field {
            let (dataset_name, name) = (dataset.name.clone(), field.name.clone());
            match columns.get(&field.name) {
                None => {
                    let statements = layout.add_column(dataset, field);
                    steps.push(Step::AddColumn { dataset: dataset_name, field: name, statements });
                }
                Some(kind) if kind != column_type(field) => steps.push(Step::Refused {
                    dataset: dataset_name,
                    field: name,
                    have: kind.clone(),
                    want: column_type(field).to_string(),
                }),
                Some(_) => {}
            }
        }
    }
    steps
}
