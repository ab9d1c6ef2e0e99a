//! The workbook that a register is filled in with: one heading a field, code lists to choose from,
//! and a sheet that explains them.

use super::failed;
use crate::error::Result;
use rust_xlsxwriter::{Color, DataValidation, Format, Formula, Workbook};
use zonglan_catalog::{Catalogue, Dataset, Field, FieldType};

/// Rows that get lists to choose from.
const ROWS: u32 = 2_000;

/// The XLSX file of a register's template. Headings are the labels, which imports understand.
pub fn template(catalogue: &Catalogue, dataset: &Dataset) -> Result<Vec<u8>> {
    let mut workbook = Workbook::new();
    let head = Format::new().set_bold().set_background_color(Color::RGB(0xEE_F2_F7));
    let needed = Format::new().set_bold().set_background_color(Color::RGB(0xFD_E8_D8));
    let fields: Vec<&Field> = dataset.field.iter().filter(|f| asked(f)).collect();
    let sheet = workbook.add_worksheet();
    sheet.set_name("数据").map_err(failed)?;
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    let mut lists: Vec<(&Field, Vec<&str>)> = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        let at = u16::try_from(i).map_err(failed)?;
        sheet.set_column_width(at, 18).map_err(failed)?;
        let style = if field.required { &needed } else { &head };
        sheet.write_string_with_format(0, at, &field.label.zh, style).map_err(failed)?;
        let codes: Vec<&str> = catalogue
            .codes_of(field)
            .into_iter()
            .flat_map(|list| &list.item)
            .filter(|item| item.replaced_by.is_none() && fits(field, &item.code))
            .map(|item| item.zh.as_str())
            .collect();
        if !codes.is_empty() {
            let column = column_name(lists.len());
            let range = Formula::new(format!("=代码!${column}$2:${column}${}", codes.len() + 1));
            let validation = DataValidation::new().allow_list_formula(range);
            sheet.add_data_validation(1, at, ROWS, at, &validation).map_err(failed)?;
            lists.push((field, codes));
        }
    }
    let codes = workbook.add_worksheet();
    codes.set_name("代码").map_err(failed)?;
    for (i, (field, values)) in lists.iter().enumerate() {
        let at = u16::try_from(i).map_err(failed)?;
        codes.write_string_with_format(0, at, &field.label.zh, &head).map_err(failed)?;
        for (row, value) in values.iter().enumerate() {
            codes.write_string(u32::try_from(row + 1).map_err(failed)?, at, *value).map_err(failed)?;
        }
    }
    let notes = workbook.add_worksheet();
    notes.set_name("填写说明").map_err(failed)?;
    notes.set_column_width(0, 20).map_err(failed)?;
    notes.set_column_width(2, 60).map_err(failed)?;
    for (i, title) in ["字段", "必填", "说明"].iter().enumerate() {
        notes.write_string_with_format(0, u16::try_from(i).map_err(failed)?, *title, &head).map_err(failed)?;
    }
    for (i, field) in fields.iter().enumerate() {
        let row = u32::try_from(i + 1).map_err(failed)?;
        notes.write_string(row, 0, &field.label.zh).map_err(failed)?;
        notes.write_string(row, 1, if field.required { "是" } else { "" }).map_err(failed)?;
        notes.write_string(row, 2, note(field)).map_err(failed)?;
    }
    workbook.save_to_buffer().map_err(failed)
}

/// Fields that people fill in.
fn asked(field: &Field) -> bool {
    !field.by_action && field.kind != FieldType::File && !field.person_key && field.name != "record_state"
}

fn fits(field: &Field, code: &str) -> bool {
    use zonglan_catalog::dataset::RegionLevel;
    let digits = if field.level == Some(RegionLevel::Street) { 9 } else { 6 };
    field.kind != FieldType::Region || (code.len() == digits && code != "310000")
}

fn note(field: &Field) -> String {
    let kind = match field.kind {
        FieldType::Int => "整数",
        FieldType::Decimal => "数字",
        FieldType::Bool => "是 或 否",
        FieldType::Date => "日期，如 2026-01-31",
        FieldType::Instant => "时间，如 2026-01-31 08:00",
        FieldType::Point => "经度, 纬度",
        FieldType::Code | FieldType::Region => "从列表选择",
        FieldType::Text | FieldType::File | FieldType::Ref => "",
    };
    let limit = field.max_length.map(|n| format!("最多 {n} 个字")).unwrap_or_default();
    let unit = field.unit.as_ref().map(|u| format!("单位 {u}")).unwrap_or_default();
    let parts = [kind, &limit, &unit, field.help.as_deref().unwrap_or_default()];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("；")
}

/// `A`, …, `Z`, `AA`, …
fn column_name(mut index: usize) -> String {
    let mut name = String::new();
    loop {
        name.insert(0, char::from(b'A' + u8::try_from(index % 26).unwrap_or_default()));
        if index < 26 {
            return name;
        }
        index = index / 26 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_in_a_sheet() {
        let names: Vec<String> = [0, 25, 26, 51, 52, 701, 702].into_iter().map(column_name).collect();
        assert_eq!(names, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }
}
