//! Pages of rows, and whole datasets read back, from the server.

use super::rowbinary::Rows;
use super::{Remote, ddl, sql};
use crate::buffer::Buffer;
use crate::column::{Codes, Column, DictBuilder};
use crate::dims::DimVal;
use crate::error::Result;
use crate::hash;
use crate::plan::Window;
use crate::pred::Pred;
use crate::rows::{Order, Page, value};
use crate::scan::Stop;
use crate::segment::Cell;
use crate::store::Inner;
use std::io::Read;
use std::sync::Arc;
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::bind::BoundQuery;
use zonglan_catalog::dataset::{Dataset, FieldType};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::table::Table;
use zonglan_catalog::value::Value;

/// Takes a piece of rows: keys, content hashes, the fields' columns.
pub type Take<'a> = dyn FnMut(&[u128], &[u64], &[Arc<Column>]) -> Result<()> + 'a;

impl Remote {
    fn reaches(&self, inner: &Inner, catalogue: &Catalogue, bound: &BoundQuery) -> Result<String> {
        let part = &bound.parts()[0];
        let dataset = &part.dataset;
        let filter = Pred::new(inner, catalogue, dataset, &part.row_rule)?.and(Pred::new(
            inner,
            catalogue,
            dataset,
            &part.filter,
        )?);
        let spans = sql::spans(dataset, &Window::one(bound.span()).spans);
        Ok(format!("({}) AND {spans}", sql::condition(dataset, &filter)))
    }

    /// Answers a rows query, see [`crate::rows::run`].
    pub fn page(
        &self,
        inner: &Inner,
        catalogue: &Catalogue,
        bound: &BoundQuery,
        cancel: &Stop,
    ) -> Result<(Table, u64)> {
        let dataset = &bound.parts()[0].dataset;
        let page = Page::new(bound, dataset)?;
        let Some(table) = self.source(dataset)? else {
            return Ok((page.table(bound, dataset, Vec::new(), 0, None)?, 0));
        };
        let reached = self.reaches(inner, catalogue, bound)?;
        let gone = || cancel.is_cancelled();
        let count = format!("SELECT count() FROM {table} WHERE {reached} SETTINGS {} FORMAT RowBinary", sql::SETTINGS);
        let total = Rows::new(self.http.ask(count, &gone)?.as_slice()).u64()?;

        let after = page.after.as_ref().map_or("1".into(), |(values, key)| after(dataset, &page.orders, values, *key));
        let fields: Vec<String> = page.fields.iter().map(|f| ddl::quoted(&dataset.field[*f].name)).collect();
        let orders: Vec<String> = page
            .orders
            .iter()
            .map(|o| {
                let way = if o.descending { "DESC" } else { "ASC" };
                format!("{} {way} NULLS LAST", sql::number(&dataset.field[o.field]))
            })
            .chain(["_key ASC".to_string()])
            .collect();
        let ordered: Vec<String> = page.orders.iter().map(|o| ddl::quoted(&dataset.field[o.field].name)).collect();
        let columns: Vec<&str> =
            ordered.iter().chain(&fields).map(String::as_str).chain(std::iter::once("_key")).collect();
        let statement = format!(
            "SELECT {} FROM {table} WHERE {reached} AND ({after}) ORDER BY {} LIMIT {} SETTINGS {} FORMAT RowBinary",
            columns.join(", "),
            orders.join(", "),
            page.limit + 1,
            sql::SETTINGS
        );
        let answer = self.http.ask(statement, &gone)?;
        let mut rows = Rows::new(answer.as_slice());
        let mut found = Vec::new();
        let mut last = None;
        let mut more = false;
        while rows.more()? {
            let values: Vec<DimVal> = page
                .orders
                .iter()
                .map(|o| {
                    Ok(match rows.cell(dataset.field[o.field].kind)? {
                        Cell::Int(v) => DimVal::Int(v),
                        Cell::Text(t) => DimVal::Text(t.into()),
                        Cell::Null | Cell::Point(..) => DimVal::Null,
                    })
                })
                .collect::<Result<_>>()?;
            let cells: Vec<Value> = page
                .fields
                .iter()
                .map(|f| Ok(value(&dataset.field[*f], rows.cell(dataset.field[*f].kind)?)))
                .collect::<Result<_>>()?;
            let key = rows.u128()?;
            if found.len() == page.limit {
                more = true;
                break;
            }
            found.push(cells);
            last = Some((values, key));
        }
        Ok((page.table(bound, dataset, found, total, last.filter(|_| more))?, total))
    }

    /// Every row that a rows query reaches, in pieces: keys, content hashes and the fields' columns.
    pub fn each(
        &self,
        inner: &Inner,
        catalogue: &Catalogue,
        bound: &BoundQuery,
        fields: &[usize],
        take: &mut Take<'_>,
    ) -> Result<()> {
        let dataset = &bound.parts()[0].dataset;
        let Some(table) = self.source(dataset)? else { return Ok(()) };
        let names: Vec<String> = fields.iter().map(|f| format!(", {}", ddl::quoted(&dataset.field[*f].name))).collect();
        let statement = format!(
            "SELECT _key, _content{} FROM {table} WHERE {} SETTINGS {} FORMAT RowBinary",
            names.concat(),
            self.reaches(inner, catalogue, bound)?,
            sql::SETTINGS
        );
        let mut rows = Rows::new(self.http.read(&statement)?);
        while rows.more()? {
            let (mut keys, mut contents) = (Vec::new(), Vec::new());
            let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); fields.len()];
            while keys.len() < 65_536 && rows.more()? {
                keys.push(rows.u128()?);
                contents.push(rows.u64()?);
                for (column, field) in cells.iter_mut().zip(fields) {
                    column.push(rows.cell(dataset.field[*field].kind)?);
                }
            }
            let columns: Vec<Arc<Column>> =
                cells.into_iter().zip(fields).map(|(c, f)| Arc::new(column(dataset.field[*f].kind, c))).collect();
            take(&keys, &contents, &columns)?;
        }
        Ok(())
    }

    /// Every live row with all fields, in batches of at most `size` rows, until `emit` returns false.
    pub fn batches(
        &self,
        dataset: &Dataset,
        size: usize,
        emit: &mut dyn FnMut(&Batch) -> std::result::Result<bool, zonglan_catalog::Error>,
    ) -> std::result::Result<(), zonglan_catalog::Error> {
        if !self.ready(dataset, false)? {
            return Ok(());
        }
        let names: Vec<String> = dataset.field.iter().map(|f| format!(", {}", ddl::quoted(&f.name))).collect();
        let statement = format!(
            "SELECT _key{} FROM {} SETTINGS {} FORMAT RowBinary",
            names.concat(),
            self.layout.table(&dataset.name),
            sql::SETTINGS
        );
        let mut rows = Rows::new(self.http.read(&statement)?);
        while rows.more()? {
            let mut batch = Batch::new(dataset);
            while batch.len() < size.max(1) && rows.more()? {
                read_row(&mut rows, dataset, &mut batch)?;
            }
            if !emit(&batch)? {
                break;
            }
        }
        Ok(())
    }

    /// Number of rows and their checksum, as `Store::checksum` defines it. Every field is read back
    /// from the server and hashed here, so that the sum proves what lies there.
    pub fn checksum(&self, dataset: &Dataset) -> zonglan_catalog::Result<(u64, u128)> {
        let (mut total, mut sum) = (0, 0u128);
        self.batches(dataset, 16_384, &mut |batch| {
            let mut buffer = Buffer::new(dataset);
            buffer.append(batch, 0, batch.len());
            total += batch.len() as u64;
            for (key, content) in buffer.keys.iter().zip(&buffer.hashes) {
                sum = sum.wrapping_add(hash::row(*key, *content));
            }
            Ok(true)
        })?;
        Ok((total, sum))
    }
}

fn read_row<R: Read>(rows: &mut Rows<R>, dataset: &Dataset, batch: &mut Batch) -> Result<()> {
    batch.keys.push(RowKey(rows.u128()?));
    for (field, column) in dataset.field.iter().zip(&mut batch.columns) {
        let cell = rows.cell(field.kind)?;
        column.push(&value(field, cell), field.scale);
    }
    Ok(())
}

fn column(kind: FieldType, cells: Vec<Cell>) -> Column {
    if kind == FieldType::Point {
        let point = |cell| if let Cell::Point(x, y) = cell { (x, y) } else { (f64::NAN, f64::NAN) };
        return Column::Point(cells.into_iter().map(point).collect());
    }
    if kind.is_textual() {
        let mut builder = DictBuilder::default();
        let codes: Vec<Option<u32>> =
            cells.iter().map(|c| if let Cell::Text(t) = c { Some(builder.code(t)) } else { None }).collect();
        let null = builder.dict.len() as u32;
        return Column::Dict {
            codes: Codes::pack(codes.into_iter().map(|c| c.unwrap_or(null)), null),
            dict: Arc::new(builder.dict),
        };
    }
    let values: Vec<i64> = cells.iter().map(|c| if let Cell::Int(v) = c { *v } else { i64::MIN }).collect();
    Column::ints(&values)
}

/// Rows behind a position: later in the order, or equal in it with a higher key. Nulls are last
/// either way, so nothing but a higher key comes after them.
fn after(dataset: &Dataset, orders: &[Order], values: &[DimVal], key: u128) -> String {
    let mut condition = format!("_key > toUInt128('{key}')");
    for (order, value) in orders.iter().zip(values).rev() {
        let number = sql::number(&dataset.field[order.field]);
        let literal = match value {
            DimVal::Int(v) => format!("toInt64({v})"),
            DimVal::Text(t) => ddl::text(t),
            DimVal::Null => {
                condition = format!("isNull({number}) AND ({condition})");
                continue;
            }
        };
        let beyond = if order.descending { "<" } else { ">" };
        condition = format!(
            "isNull({number}) OR ifNull({number} {beyond} {literal}, 0) OR (ifNull({number} = {literal}, 0) AND ({condition}))"
        );
    }
    condition
}
