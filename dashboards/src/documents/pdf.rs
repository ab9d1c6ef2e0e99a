//! Reports as PDF: lines broken by the rules of Chinese setting, glyphs of the one font embedded.

use super::report::{Block, Report, Run, Style, pixels};
use crate::error::{Error, Result};
use crate::render::font;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use std::collections::HashMap;
use std::io::Write as _;
use subsetter::GlyphRemapper;

/// A4 and its margins, in points.
const PAGE: (f32, f32) = (595.28, 841.89);
const MARGIN: (f32, f32) = (62.0, 68.0);
const BODY: f32 = 10.5;
/// Marks that no line may begin with (GB/T 15834), and that none may end with.
const NOT_FIRST: &str = "，。、；：？！）》」』】〕”’％,.;:?!)]}…—";
const NOT_LAST: &str = "（《「『【〔“‘([{";

/// The font: advances of characters as parts of the size, and the glyphs used so far.
pub(super) struct Face {
    bytes: &'static [u8],
    face: ttf_parser::Face<'static>,
    widths: HashMap<char, f32>,
    used: GlyphRemapper,
    /// Character and advance (thousandths) of each glyph used, by its number in the subset.
    glyphs: HashMap<u16, (char, f32)>,
}

impl Face {
    pub fn load() -> Result<Self> {
        let bytes = font::bytes()?;
        let face = ttf_parser::Face::parse(bytes, 0).map_err(|e| Error::Font(e.to_string()))?;
        Ok(Self { bytes, face, widths: HashMap::new(), used: GlyphRemapper::new(), glyphs: HashMap::new() })
    }

    pub fn width(&mut self, c: char) -> f32 {
        let face = &self.face;
        *self.widths.entry(c).or_insert_with(|| {
            let glyph = face.glyph_index(c);
            let advance = glyph.and_then(|g| face.glyph_hor_advance(g)).unwrap_or(face.units_per_em());
            f32::from(advance) / f32::from(face.units_per_em())
        })
    }

    /// Numbers of the subset's glyphs, big-endian, as the page's text operators take them.
    pub fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            let wide = self.width(c) * 1_000.0;
            let glyph = self.face.glyph_index(c).map_or(0, |g| g.0);
            let number = self.used.remap(glyph);
            self.glyphs.entry(number).or_insert((c, wide));
            out.extend(number.to_be_bytes());
        }
        out
    }
}

/// A line of pieces, each at its place from the left.
pub(super) type Line = Vec<(f32, Run)>;

/// Breaks runs into lines of a width. Latin words stay whole where they fit.
pub(super) fn lines(face: &mut Face, runs: &[Run], size: f32, width: f32) -> Vec<Line> {
    // Units that are not broken: one Chinese character, or a Latin word.
    let mut units: Vec<(String, Style, f32)> = Vec::new();
    for run in runs {
        let mut word = String::new();
        let flush = |word: &mut String, units: &mut Vec<(String, Style, f32)>, face: &mut Face| {
            if !word.is_empty() {
                let wide = word.chars().map(|c| face.width(c)).sum::<f32>() * size;
                units.push((std::mem::take(word), run.style, wide));
            }
        };
        for c in run.text.chars().filter(|c| *c == '\n' || !c.is_control()) {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '%') && !word.is_empty() {
                word.push(c);
                // A word longer than a line is broken all the same.
                if word.chars().count() > 40 {
                    flush(&mut word, &mut units, face);
                }
                continue;
            }
            flush(&mut word, &mut units, face);
            let wide = if c == '\n' { 0.0 } else { face.width(c) * size };
            units.push((c.to_string(), run.style, wide));
        }
        flush(&mut word, &mut units, face);
    }
    let first = |text: &str, set: &str| text.chars().next().is_some_and(|c| set.contains(c));
    let mut out: Vec<Vec<(String, Style, f32)>> = vec![Vec::new()];
    let mut at = 0.0;
    for unit in units {
        if unit.0 == "\n" {
            out.push(Vec::new());
            at = 0.0;
            continue;
        }
        let line = out.last_mut();
        let over = at + unit.2 > width && at > 0.0;
        if over && !(first(&unit.0, NOT_FIRST) && at + unit.2 <= width + size) {
            // What may not end the line goes to the next with its word.
            let mut carried = Vec::new();
            if let Some(line) = line {
                while line.len() > 1 && line.last().is_some_and(|u| first(&u.0, NOT_LAST)) {
                    carried.extend(line.pop());
                }
                while line.last().is_some_and(|u| u.0 == " ") {
                    line.pop();
                }
            }
            carried.reverse();
            at = carried.iter().map(|u| u.2).sum();
            out.push(carried);
            if unit.0 == " " {
                continue;
            }
        }
        at += unit.2;
        if let Some(line) = out.last_mut() {
            line.push(unit);
        }
    }
    out.into_iter().map(join).collect()
}

/// Neighbours in one style become one piece.
fn join(units: Vec<(String, Style, f32)>) -> Line {
    let mut line: Line = Vec::new();
    let mut at = 0.0;
    for (text, style, wide) in units {
        match line.last_mut() {
            Some((_, run)) if run.style == style => run.text.push_str(&text),
            _ => line.push((at, Run { text, style })),
        }
        at += wide;
    }
    line
}

/// What is drawn at a place of a page; `y` is the baseline from the top.
enum Ink {
    Text { x: f32, y: f32, size: f32, run: Run },
    Box { x: f32, y: f32, w: f32, h: f32, fill: (u8, u8, u8) },
    Rule { x: f32, y: f32, w: f32, h: f32 },
    Image { x: f32, y: f32, w: f32, h: f32, image: usize },
}

/// Lays blocks on pages from top to bottom.
struct Setter {
    face: Face,
    pages: Vec<Vec<Ink>>,
    /// Width, height and RGBA bytes.
    images: Vec<(u32, u32, Vec<u8>)>,
    y: f32,
}

impl Setter {
    fn new(face: Face) -> Self {
        Self { face, pages: vec![Vec::new()], images: Vec::new(), y: MARGIN.1 }
    }

    fn width() -> f32 {
        PAGE.0 - 2.0 * MARGIN.0
    }

    fn bottom() -> f32 {
        PAGE.1 - MARGIN.1
    }

    fn turn(&mut self) {
        self.pages.push(Vec::new());
        self.y = MARGIN.1;
    }

    fn need(&mut self, height: f32) {
        if self.y + height > Self::bottom() && self.y > MARGIN.1 {
            self.turn();
        }
    }

    fn ink(&mut self, ink: Ink) {
        if let Some(page) = self.pages.last_mut() {
            page.push(ink);
        }
    }

    /// One line at the current height; marks have a ground.
    fn line(&mut self, x: f32, y: f32, size: f32, line: Line) {
        for (at, run) in line {
            if run.style == Style::Mark {
                let wide = run.text.chars().map(|c| self.face.width(c)).sum::<f32>() * size;
                self.ink(Ink::Box { x: x + at, y: y - size * 0.95, w: wide, h: size * 1.25, fill: (255, 232, 163) });
            }
            self.ink(Ink::Text { x: x + at, y, size, run });
        }
    }

    fn paragraph(&mut self, runs: &[Run], size: f32, indent: f32, after: f32, centred: bool) {
        let leading = size * 1.65;
        for line in lines(&mut self.face, runs, size, Self::width() - indent) {
            self.need(leading);
            let wide: f32 =
                line.iter().flat_map(|(_, r)| r.text.chars()).map(|c| self.face.width(c)).sum::<f32>() * size;
            let x = MARGIN.0 + indent + if centred { (Self::width() - indent - wide).max(0.0) / 2.0 } else { 0.0 };
            let y = self.y + size * 1.2;
            self.line(x, y, size, line);
            self.y += leading;
        }
        self.y += after;
    }

    fn table(&mut self, head: &[String], widths: &[f32], rows: &[Vec<Vec<Run>>]) {
        let columns = head.len().max(rows.iter().map(Vec::len).max().unwrap_or(0)).max(1);
        let shares: Vec<f32> =
            (0..columns).map(|i| widths.get(i).copied().filter(|w| *w > 0.0).unwrap_or(1.0)).collect();
        let total: f32 = shares.iter().sum();
        let wide: Vec<f32> = shares.iter().map(|s| Self::width() * s / total).collect();
        let titles: Vec<Vec<Run>> = head.iter().map(|h| vec![Run::new(h.clone(), Style::Bold)]).collect();
        if !head.is_empty() {
            self.row(&titles, &wide, true);
        }
        for row in rows {
            let before = self.pages.len();
            self.row(row, &wide, false);
            // The head stands on every page of the table: the row was begun on a fresh one.
            if self.pages.len() > before && !head.is_empty() {
                let inks = self.pages.last_mut().map(std::mem::take).unwrap_or_default();
                let end = self.y;
                self.y = MARGIN.1;
                self.row(&titles, &wide, true);
                let shift = self.y - MARGIN.1;
                for ink in inks {
                    self.ink(shifted(ink, shift));
                }
                self.y = end + shift;
            }
        }
        self.y += 8.0;
    }

    fn row(&mut self, cells: &[Vec<Run>], wide: &[f32], head: bool) {
        const PAD: f32 = 4.0;
        let size = 9.0;
        let leading = size * 1.5;
        let set: Vec<Vec<Line>> = wide
            .iter()
            .enumerate()
            .map(|(i, w)| lines(&mut self.face, cells.get(i).map_or(&[][..], Vec::as_slice), size, w - 2.0 * PAD))
            .collect();
        // A row higher than a page is cut at its foot; nothing else can be done on paper.
        let most = ((Self::bottom() - MARGIN.1 - 40.0) / leading) as usize;
        let count = set.iter().map(Vec::len).max().unwrap_or(1).clamp(1, most);
        let height = count as f32 * leading + 2.0 * PAD;
        self.need(height);
        let (top, mut x) = (self.y, MARGIN.0);
        for (lines, w) in set.into_iter().zip(wide) {
            if head {
                self.ink(Ink::Box { x, y: top, w: *w, h: height, fill: (238, 242, 247) });
            }
            self.ink(Ink::Rule { x, y: top, w: *w, h: height });
            for (n, line) in lines.into_iter().take(count).enumerate() {
                self.line(x + PAD, top + PAD + n as f32 * leading + size * 1.1, size, line);
            }
            x += w;
        }
        self.y += height;
    }

    fn picture(&mut self, png: &[u8], width_mm: f32) -> Result<()> {
        let (w, h, rgba) = pixels(png)?;
        let mut wide = (width_mm * 72.0 / 25.4).min(Self::width());
        let mut high = wide * h as f32 / w.max(1) as f32;
        let most = Self::bottom() - MARGIN.1;
        if high > most {
            wide *= most / high;
            high = most;
        }
        self.need(high);
        let x = MARGIN.0 + (Self::width() - wide) / 2.0;
        self.images.push((w, h, rgba));
        let image = self.images.len() - 1;
        self.ink(Ink::Image { x, y: self.y, w: wide, h: high, image });
        self.y += high + 8.0;
        Ok(())
    }
}

fn shifted(ink: Ink, by: f32) -> Ink {
    match ink {
        Ink::Text { x, y, size, run } => Ink::Text { x, y: y + by, size, run },
        Ink::Box { x, y, w, h, fill } => Ink::Box { x, y: y + by, w, h, fill },
        Ink::Rule { x, y, w, h } => Ink::Rule { x, y: y + by, w, h },
        Ink::Image { x, y, w, h, image } => Ink::Image { x, y: y + by, w, h, image },
    }
}

/// A colour's share of each of red, green and blue.
fn shares((r, g, b): (u8, u8, u8)) -> (f32, f32, f32) {
    (f32::from(r) / 255.0, f32::from(g) / 255.0, f32::from(b) / 255.0)
}

/// Draws on a page, whose origin is its lower left corner.
fn draw(content: &mut Content, face: &mut Face, ink: Ink) {
    match ink {
        Ink::Text { x, y, size, run } => {
            let (r, g, b) = shares(if run.style == Style::Faint { (95, 107, 122) } else { (24, 32, 44) });
            let codes = face.encode(&run.text);
            content.begin_text().set_font(Name(b"F"), size).set_fill_rgb(r, g, b);
            if matches!(run.style, Style::Bold | Style::Mark) {
                // The one face has no bold: a thin outline in the same colour stands for it.
                content.set_stroke_rgb(r, g, b).set_line_width(size * 0.028);
                content.set_text_rendering_mode(pdf_writer::types::TextRenderingMode::FillStroke);
            } else {
                content.set_text_rendering_mode(pdf_writer::types::TextRenderingMode::Fill);
            }
            content.set_text_matrix([1.0, 0.0, 0.0, 1.0, x, PAGE.1 - y]).show(Str(&codes)).end_text();
        }
        Ink::Box { x, y, w, h, fill } => {
            let (r, g, b) = shares(fill);
            content.set_fill_rgb(r, g, b).rect(x, PAGE.1 - y - h, w, h).fill_nonzero();
        }
        Ink::Rule { x, y, w, h } => {
            let (r, g, b) = shares((184, 194, 207));
            content.set_stroke_rgb(r, g, b).set_line_width(0.6).rect(x, PAGE.1 - y - h, w, h).stroke();
        }
        Ink::Image { x, y, w, h, image } => {
            content.save_state().transform([w, 0.0, 0.0, h, x, PAGE.1 - y - h]);
            content.x_object(Name(format!("I{image}").as_bytes())).restore_state();
        }
    }
}

pub(super) fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| Error::Document(format!("pdf: {e}"));
    let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).map_err(failed)?;
    out.finish().map_err(failed)
}

/// Gives out numbers of objects.
pub(super) struct Numbers(pub i32);

impl Numbers {
    pub fn next(&mut self) -> Ref {
        self.0 += 1;
        Ref::new(self.0)
    }
}

/// The glyphs used, as a font of two-byte codes with a table back to Unicode, so that text can be
/// searched and copied.
pub(super) fn embed(pdf: &mut Pdf, numbers: &mut Numbers, face: &Face, id: Ref) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| Error::Document(format!("pdf font: {e}"));
    let subset = subsetter::subset(face.bytes, 0, &face.used).map_err(|e| failed(&e))?;
    // A font with PostScript outlines is embedded as its CFF table alone.
    let raw = ttf_parser::RawFace::parse(&subset, 0).map_err(|e| failed(&e))?;
    let cff = raw.table(ttf_parser::Tag::from_bytes(b"CFF "));
    let program = deflate(cff.unwrap_or(&subset))?;
    let (cid, descriptor, file, unicode) = (numbers.next(), numbers.next(), numbers.next(), numbers.next());
    let name = Name(b"ZLNGLN+ZonglanCJK");
    let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
    pdf.type0_font(id)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(unicode);
    let mut font = pdf.cid_font(cid);
    font.subtype(if cff.is_some() { CidFontType::Type0 } else { CidFontType::Type2 });
    font.base_font(name).system_info(system).font_descriptor(descriptor).default_width(1_000.0);
    if cff.is_none() {
        font.cid_to_gid_map_predefined(Name(b"Identity"));
    }
    let mut used: Vec<(&u16, &(char, f32))> = face.glyphs.iter().collect();
    used.sort_by_key(|(glyph, _)| **glyph);
    let mut widths = font.widths();
    for (glyph, (_, wide)) in &used {
        widths.same(**glyph, **glyph, *wide);
    }
    widths.finish();
    font.finish();
    let units = 1_000.0 / f32::from(face.face.units_per_em());
    let at = |v: i16| f32::from(v) * units;
    let bounds = face.face.global_bounding_box();
    let mut entry = pdf.font_descriptor(descriptor);
    entry
        .name(name)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(at(bounds.x_min), at(bounds.y_min), at(bounds.x_max), at(bounds.y_max)))
        .italic_angle(0.0)
        .ascent(at(face.face.ascender()))
        .descent(at(face.face.descender()))
        .cap_height(face.face.capital_height().map_or(700.0, at))
        .stem_v(80.0);
    if cff.is_some() {
        entry.font_file3(file);
    } else {
        entry.font_file2(file);
    }
    entry.finish();
    let mut stream = pdf.stream(file, &program);
    stream.filter(Filter::FlateDecode);
    if cff.is_some() {
        stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
    }
    stream.finish();
    let mut cmap = UnicodeCmap::new(Name(b"Custom"), system);
    for (glyph, (c, _)) in used {
        cmap.pair(*glyph, *c);
    }
    let cmap = cmap.finish();
    pdf.cmap(unicode, cmap.as_slice());
    Ok(())
}

/// A picture: its colours, and its transparency as a mask.
fn picture(pdf: &mut Pdf, numbers: &mut Numbers, id: Ref, (w, h, rgba): &(u32, u32, Vec<u8>)) -> Result<()> {
    let size = |n: u32| i32::try_from(n).map_err(|_| Error::Document("picture: too large".into()));
    let mask = numbers.next();
    let colours = deflate(&rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect::<Vec<u8>>())?;
    let alphas = deflate(&rgba.chunks_exact(4).map(|p| p[3]).collect::<Vec<u8>>())?;
    let mut image = pdf.image_xobject(id, &colours);
    image.filter(Filter::FlateDecode);
    image.width(size(*w)?).height(size(*h)?).s_mask(mask).bits_per_component(8);
    image.color_space().device_rgb();
    image.finish();
    let mut image = pdf.image_xobject(mask, &alphas);
    image.filter(Filter::FlateDecode);
    image.width(size(*w)?).height(size(*h)?).bits_per_component(8);
    image.color_space().device_gray();
    image.finish();
    Ok(())
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>> {
    let mut setter = Setter::new(Face::load()?);
    setter.paragraph(&[Run::new(&report.title, Style::Bold)], 19.0, 0.0, 4.0, true);
    if !report.subtitle.is_empty() {
        setter.paragraph(&[Run::new(&report.subtitle, Style::Faint)], 9.5, 0.0, 12.0, true);
    }
    for block in &report.blocks {
        match block {
            Block::Heading(level, text) => {
                let size = [15.0, 12.5, 11.0][usize::from(level.clamp(&1, &3) - 1)];
                setter.y += 6.0;
                // A heading does not stand alone at the foot of a page.
                setter.need(size * 4.0);
                setter.paragraph(&[Run::new(text, Style::Bold)], size, 0.0, 3.0, false);
            }
            Block::Paragraph(runs) => setter.paragraph(runs, BODY, 0.0, 4.0, false),
            Block::Facts(facts) => {
                for (label, value) in facts {
                    setter.paragraph(
                        &[Run::new(format!("{label}："), Style::Bold), Run::plain(value)],
                        BODY,
                        0.0,
                        1.0,
                        false,
                    );
                }
                setter.y += 4.0;
            }
            Block::Table { head, widths, rows } => setter.table(head, widths, rows),
            Block::Picture { png, width_mm } => setter.picture(png, *width_mm)?,
            Block::PageBreak => setter.turn(),
        }
    }
    let Setter { mut face, pages, images, .. } = setter;
    let count = pages.len();
    let (mut pdf, mut numbers) = (Pdf::new(), Numbers(0));
    let (catalog, tree, font) = (numbers.next(), numbers.next(), numbers.next());
    let pictures: Vec<Ref> = images.iter().map(|_| numbers.next()).collect();
    let mut kids = Vec::with_capacity(count);
    for (n, mut inks) in pages.into_iter().enumerate() {
        let foot = format!("{}　{} / {count}", report.foot, n + 1);
        let y = PAGE.1 - 36.0;
        if let Some(line) = lines(&mut face, &[Run::new(foot, Style::Faint)], 8.0, Setter::width()).into_iter().next() {
            inks.extend(line.into_iter().map(|(at, run)| Ink::Text { x: MARGIN.0 + at, y, size: 8.0, run }));
        }
        let mut content = Content::new();
        for ink in inks {
            draw(&mut content, &mut face, ink);
        }
        let (id, stream) = (numbers.next(), numbers.next());
        kids.push(id);
        let mut page = pdf.page(id);
        page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(stream);
        let mut resources = page.resources();
        resources.fonts().pair(Name(b"F"), font);
        let mut objects = resources.x_objects();
        for (i, picture) in pictures.iter().enumerate() {
            objects.pair(Name(format!("I{i}").as_bytes()), *picture);
        }
        objects.finish();
        resources.finish();
        page.finish();
        let bytes = deflate(content.finish().as_slice())?;
        pdf.stream(stream, &bytes).filter(Filter::FlateDecode);
    }
    pdf.catalog(catalog).pages(tree).lang(TextStr("zh-CN"));
    pdf.pages(tree).count(i32::try_from(kids.len()).unwrap_or(i32::MAX)).kids(kids);
    embed(&mut pdf, &mut numbers, &face, font)?;
    for (id, image) in pictures.iter().zip(&images) {
        picture(&mut pdf, &mut numbers, *id, image)?;
    }
    let info = numbers.next();
    pdf.document_info(info).title(TextStr(&report.title)).author(TextStr(&report.author)).creator(TextStr("zonglan"));
    Ok(pdf.finish())
}
