//! A text document as a value: headings, paragraphs, facts, tables, pictures. The writers of DOCX
//! and PDF turn the same value into files; reports of searches, boards and briefings share them.

use crate::error::Result;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Bold,
    /// A word that was searched for.
    Mark,
    /// Beside the matter: sources, times.
    Faint,
}

/// A piece of a paragraph in one style.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    pub text: String,
    pub style: Style,
}

impl Run {
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Style::Plain)
    }
}

/// One part of a document, from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Level 1 to 3.
    Heading(u8, String),
    Paragraph(Vec<Run>),
    /// Label and value, one a line.
    Facts(Vec<(String, String)>),
    Table {
        head: Vec<String>,
        /// Shares of the width; empty: equal.
        widths: Vec<f32>,
        rows: Vec<Vec<Vec<Run>>>,
    },
    /// A PNG, as wide as the page allows up to `width_mm`.
    Picture {
        png: Vec<u8>,
        width_mm: f32,
    },
    PageBreak,
}

/// A document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    pub title: String,
    /// Below the title: who, when.
    pub subtitle: String,
    pub author: String,
    pub blocks: Vec<Block>,
    /// At the foot of each page: where it comes from, and that demo data is demo data.
    pub foot: String,
}

impl Report {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    pub fn heading(&mut self, level: u8, text: impl Into<String>) {
        self.blocks.push(Block::Heading(level.clamp(1, 3), text.into()));
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(vec![Run::plain(text)]));
    }

    /// The document as Office Open XML.
    ///
    /// # Errors
    /// A picture that is no PNG.
    pub fn docx(&self) -> Result<Vec<u8>> {
        super::docx::write(self)
    }

    /// The document as PDF with the glyphs that it uses embedded.
    ///
    /// # Errors
    /// No Chinese font on the machine, or a picture that is no PNG.
    pub fn pdf(&self) -> Result<Vec<u8>> {
        super::pdf::write(self)
    }
}

/// Width, height and RGBA bytes of a PNG.
pub(super) fn pixels(png: &[u8]) -> Result<(u32, u32, Vec<u8>)> {
    let failed = |e: png::DecodingError| crate::error::Error::Document(format!("picture: {e}"));
    let mut decoder = png::Decoder::new(png);
    decoder.set_transformations(
        png::Transformations::EXPAND | png::Transformations::ALPHA | png::Transformations::STRIP_16,
    );
    let mut reader = decoder.read_info().map_err(failed)?;
    let mut bytes = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut bytes).map_err(failed)?;
    bytes.truncate(info.buffer_size());
    let bytes = match info.color_type {
        png::ColorType::Rgba => bytes,
        png::ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|c| [c[0], c[0], c[0], c[1]]).collect(),
        png::ColorType::Rgb => bytes.chunks_exact(3).flat_map(|c| [c[0], c[1], c[2], 255]).collect(),
        _ => bytes.iter().flat_map(|g| [*g, *g, *g, 255]).collect(),
    };
    Ok((info.width, info.height, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn sample() -> Report {
        let mut report = Report {
            subtitle: "检索人：测试".into(),
            author: "测试".into(),
            foot: "演示数据 <&>".into(),
            ..Report::new("类案检索报告")
        };
        report.heading(1, "一、检索条件");
        report.blocks.push(Block::Facts(vec![("检索式".into(), "\"交通肇事\" 且 逃逸".into())]));
        report.blocks.push(Block::Paragraph(vec![
            Run::plain("本院认为，被告人"),
            Run::new("交通肇事", Style::Mark),
            Run::plain("后逃逸，（2017）沪0120刑初684号。\u{1}"),
        ]));
        let cell = |t: &str| vec![Run::plain(t)];
        let rows = (0..80)
            .map(|i| {
                vec![
                    cell(&i.to_string()),
                    cell("上海市奉贤区人民法院关于一个相当长的标题需要换行的单元格内容"),
                    cell("2017-06-28"),
                ]
            })
            .collect();
        report.blocks.push(Block::Table {
            head: vec!["序号".into(), "法院".into(), "日期".into()],
            widths: vec![1.0, 5.0, 2.0],
            rows,
        });
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, 4, 2);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().expect("head").write_image_data(&[200; 24]).expect("pixels");
        report.blocks.push(Block::Picture { png, width_mm: 60.0 });
        report.blocks.push(Block::PageBreak);
        report.text("结束");
        report
    }

    #[test]
    fn docx_holds_the_text_and_escapes_it() {
        let bytes = sample().docx().expect("written");
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip");
        let mut text = String::new();
        zip.by_name("word/document.xml").expect("the document").read_to_string(&mut text).expect("UTF-8");
        assert!(text.contains("类案检索报告") && text.contains("（2017）沪0120刑初684号") && text.contains("FFE8A3"));
        assert!(!text.contains('\u{1}') && text.contains("rIdP1"));
        let mut foot = String::new();
        zip.by_name("word/footer1.xml").expect("the foot").read_to_string(&mut foot).expect("UTF-8");
        assert!(foot.contains("演示数据 &lt;&amp;&gt;"));
    }

    #[test]
    fn pdf_has_pages_and_a_small_font() {
        let bytes = match sample().pdf() {
            Ok(bytes) => bytes,
            Err(crate::error::Error::Font(looked)) => {
                println!("skipped: no Chinese font in {looked}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        assert!(
            bytes.starts_with(b"%PDF-") && bytes.len() < 400_000,
            "{} bytes: the whole font has 18 MB",
            bytes.len()
        );
        if let Some(path) = std::env::var_os("ZONGLAN_REPORT") {
            std::fs::write(path, &bytes).expect("saved");
        }
    }

    #[test]
    fn a_picture_that_is_none_is_an_error() {
        let mut report = Report::new("x");
        report.blocks.push(Block::Picture { png: b"no".to_vec(), width_mm: 10.0 });
        assert!(report.docx().is_err());
    }
}
