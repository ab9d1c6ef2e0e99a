//! Reports as Office Open XML (ECMA-376): a small set of parts written by hand, readable by Word,
//! WPS and LibreOffice.

use super::report::{Block, Report, Run, Style, pixels};
use crate::error::{Error, Result};
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/><Override PartName="/word/footer1.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.footer+xml"/><Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>"#;
const RELS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>"#;
const FONTS: &str =
    r#"<w:rFonts w:ascii="Times New Roman" w:hAnsi="Times New Roman" w:eastAsia="仿宋" w:cs="Times New Roman"/>"#;
const HEADS: &str = r#"<w:rFonts w:ascii="Arial" w:hAnsi="Arial" w:eastAsia="黑体" w:cs="Arial"/>"#;
/// Width of the text on A4 with the margins below, in twentieths of a point.
const TEXT_WIDTH: u32 = 9_070;
/// English Metric Units a millimetre.
const EMU_MM: f32 = 36_000.0;

fn failed(e: impl std::fmt::Display) -> Error {
    Error::Document(format!("docx: {e}"))
}

/// Escapes text; characters that XML 1.0 does not allow are dropped.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

fn run(out: &mut String, run: &Run) {
    let look = match run.style {
        Style::Plain => "",
        Style::Bold => "<w:rPr><w:b/></w:rPr>",
        Style::Mark => r#"<w:rPr><w:b/><w:shd w:val="clear" w:color="auto" w:fill="FFE8A3"/></w:rPr>"#,
        Style::Faint => r#"<w:rPr><w:color w:val="5F6B7A"/><w:sz w:val="20"/></w:rPr>"#,
    };
    for (n, line) in run.text.split('\n').enumerate() {
        let brk = if n > 0 { "<w:br/>" } else { "" };
        _ = write!(out, r#"<w:r>{look}{brk}<w:t xml:space="preserve">{}</w:t></w:r>"#, xml(line));
    }
}

fn paragraph(out: &mut String, style: &str, runs: &[Run]) {
    let style = if style.is_empty() { String::new() } else { format!(r#"<w:pPr><w:pStyle w:val="{style}"/></w:pPr>"#) };
    _ = write!(out, "<w:p>{style}");
    runs.iter().for_each(|r| run(out, r));
    out.push_str("</w:p>");
}

fn table(out: &mut String, head: &[String], widths: &[f32], rows: &[Vec<Vec<Run>>]) {
    let columns = head.len().max(rows.iter().map(Vec::len).max().unwrap_or(0)).max(1);
    let shares: Vec<f32> = (0..columns).map(|i| widths.get(i).copied().filter(|w| *w > 0.0).unwrap_or(1.0)).collect();
    let total: f32 = shares.iter().sum();
    let width = |i: usize| (TEXT_WIDTH as f32 * shares[i] / total).round() as u32;
    out.push_str(r#"<w:tbl><w:tblPr><w:tblStyle w:val="Grid"/><w:tblW w:w="5000" w:type="pct"/><w:tblLayout w:type="fixed"/></w:tblPr><w:tblGrid>"#);
    (0..columns).for_each(|i| _ = write!(out, r#"<w:gridCol w:w="{}"/>"#, width(i)));
    out.push_str("</w:tblGrid>");
    let mut cells = |row: &mut dyn FnMut(usize) -> Vec<Run>, repeat: bool| {
        let mark =
            if repeat { "<w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>" } else { "<w:trPr><w:cantSplit/></w:trPr>" };
        _ = write!(out, "<w:tr>{mark}");
        for i in 0..columns {
            let shade = if repeat { r#"<w:shd w:val="clear" w:color="auto" w:fill="EEF2F7"/>"# } else { "" };
            _ = write!(out, r#"<w:tc><w:tcPr><w:tcW w:w="{}" w:type="dxa"/>{shade}</w:tcPr>"#, width(i));
            paragraph(out, "Cell", &row(i));
            out.push_str("</w:tc>");
        }
        out.push_str("</w:tr>");
    };
    if !head.is_empty() {
        cells(&mut |i| vec![Run::new(head.get(i).cloned().unwrap_or_default(), Style::Bold)], true);
    }
    for row in rows {
        cells(&mut |i| row.get(i).cloned().unwrap_or_default(), false);
    }
    out.push_str("</w:tbl>");
    paragraph(out, "Cell", &[]);
}

fn picture(out: &mut String, number: usize, width_mm: f32, size: (u32, u32)) {
    let wide = (width_mm.clamp(10.0, 160.0) * EMU_MM) as u64;
    let high = wide * u64::from(size.1) / u64::from(size.0.max(1));
    _ = write!(
        out,
        r#"<w:p><w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent cx="{wide}" cy="{high}"/><wp:docPr id="{number}" name="图 {number}"/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:nvPicPr><pic:cNvPr id="{number}" name="图 {number}"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="rIdP{number}"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="{wide}" cy="{high}"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"#
    );
}

fn styles() -> String {
    let style = |id: &str, name: &str, paragraph: &str, look: &str| {
        format!(
            r#"<w:style w:type="paragraph" w:styleId="{id}"><w:name w:val="{name}"/><w:pPr>{paragraph}</w:pPr><w:rPr>{look}</w:rPr></w:style>"#
        )
    };
    let mut out = format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:docDefaults><w:rPrDefault><w:rPr>{FONTS}<w:sz w:val="24"/><w:lang w:val="en-US" w:eastAsia="zh-CN"/></w:rPr></w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="80" w:line="360" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults>"#
    );
    out += r#"<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>"#;
    out += &style(
        "Title",
        "Title",
        r#"<w:spacing w:before="240" w:after="120"/><w:jc w:val="center"/>"#,
        &format!(r#"{HEADS}<w:b/><w:sz w:val="40"/>"#),
    );
    out += &style(
        "Subtitle",
        "Subtitle",
        r#"<w:spacing w:after="240"/><w:jc w:val="center"/>"#,
        r#"<w:color w:val="5F6B7A"/><w:sz w:val="21"/>"#,
    );
    for (level, size) in [(1, 30), (2, 26), (3, 24)] {
        out += &style(
            &format!("Heading{level}"),
            &format!("heading {level}"),
            &format!(r#"<w:keepNext/><w:spacing w:before="240" w:after="80"/><w:outlineLvl w:val="{}"/>"#, level - 1),
            &format!(r#"{HEADS}<w:b/><w:sz w:val="{size}"/>"#),
        );
    }
    out +=
        &style("Cell", "Cell", r#"<w:spacing w:after="20" w:line="280" w:lineRule="auto"/>"#, r#"<w:sz w:val="21"/>"#);
    let edges: String = ["top", "left", "bottom", "right", "insideH", "insideV"]
        .iter()
        .map(|e| format!(r#"<w:{e} w:val="single" w:sz="4" w:space="0" w:color="B8C2CF"/>"#))
        .collect();
    out + &format!(
        r#"<w:style w:type="table" w:styleId="Grid"><w:name w:val="Table Grid"/><w:tblPr><w:tblBorders>{edges}</w:tblBorders><w:tblCellMar><w:left w:w="80" w:type="dxa"/><w:right w:w="80" w:type="dxa"/></w:tblCellMar></w:tblPr></w:style></w:styles>"#
    )
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>> {
    let mut body = String::new();
    let mut pictures: Vec<&[u8]> = Vec::new();
    paragraph(&mut body, "Title", &[Run::plain(&report.title)]);
    if !report.subtitle.is_empty() {
        paragraph(&mut body, "Subtitle", &[Run::plain(&report.subtitle)]);
    }
    for block in &report.blocks {
        match block {
            Block::Heading(level, text) => paragraph(&mut body, &format!("Heading{level}"), &[Run::plain(text)]),
            Block::Paragraph(runs) => paragraph(&mut body, "", runs),
            Block::Facts(facts) => {
                for (label, value) in facts {
                    paragraph(&mut body, "", &[Run::new(format!("{label}："), Style::Bold), Run::plain(value)]);
                }
            }
            Block::Table { head, widths, rows } => table(&mut body, head, widths, rows),
            Block::Picture { png, width_mm } => {
                let (w, h, _) = pixels(png)?;
                pictures.push(png);
                picture(&mut body, pictures.len(), *width_mm, (w, h));
            }
            Block::PageBreak => body.push_str(r#"<w:p><w:r><w:br w:type="page"/></w:r></w:p>"#),
        }
    }
    let spaces = r#"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture""#;
    let head = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
    let document = format!(
        r#"{head}<w:document {spaces}><w:body>{body}<w:sectPr><w:footerReference w:type="default" r:id="rIdF"/><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1418" w:bottom="1440" w:left="1418" w:header="850" w:footer="850" w:gutter="0"/></w:sectPr></w:body></w:document>"#
    );
    let page = r#"<w:r><w:rPr><w:sz w:val="18"/></w:rPr><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve"> PAGE </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>"#;
    let footer = format!(
        r#"{head}<w:ftr {spaces}><w:p><w:pPr><w:jc w:val="center"/></w:pPr><w:r><w:rPr><w:color w:val="5F6B7A"/><w:sz w:val="18"/></w:rPr><w:t xml:space="preserve">{}　</w:t></w:r>{page}</w:p></w:ftr>"#,
        xml(&report.foot)
    );
    let relations: String = (1..=pictures.len()).map(|n| format!(r#"<Relationship Id="rIdP{n}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="media/p{n}.png"/>"#)).collect();
    let relations = format!(
        r#"{head}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rIdS" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/><Relationship Id="rIdF" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footer" Target="footer1.xml"/>{relations}</Relationships>"#
    );
    let core = format!(
        r#"{head}<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title><dc:creator>{}</dc:creator></cp:coreProperties>"#,
        xml(&report.title),
        xml(&report.author)
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let styles = styles();
    let parts: [(&str, &str); 7] = [
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", RELS),
        ("docProps/core.xml", &core),
        ("word/document.xml", &document),
        ("word/styles.xml", &styles),
        ("word/footer1.xml", &footer),
        ("word/_rels/document.xml.rels", &relations),
    ];
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default()).map_err(failed)?;
        zip.write_all(text.as_bytes()).map_err(failed)?;
    }
    for (n, png) in pictures.iter().enumerate() {
        zip.start_file(format!("word/media/p{}.png", n + 1), SimpleFileOptions::default()).map_err(failed)?;
        zip.write_all(png).map_err(failed)?;
    }
    Ok(zip.finish().map_err(failed)?.into_inner())
}
