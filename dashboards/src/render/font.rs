//! The Chinese font of images. Debian's fonts-noto-cjk is a collection of faces by country; the
//! simplified Chinese face is put first, because the drawing library takes the first one.

use crate::error::{Error, Result};
use plotters::style::{FontStyle, register_font};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The family name under which the font is registered and that SVG text asks for.
pub const FAMILY: &str = "Noto Sans CJK SC";

/// Where distributions put the font: Debian, UOS and Kylin, Fedora, Arch.
const PATHS: &[&str] = &[
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/source-han-sans/SourceHanSansSC-Regular.otf",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
];

/// Reads and registers the font once. The outcome, good or bad, stays.
pub fn ensure() -> Result<()> {
    bytes().map(|_| ())
}

/// The font file, its simplified Chinese face first. Read once and kept as long as the program runs.
pub fn bytes() -> Result<&'static [u8]> {
    static OUTCOME: OnceLock<std::result::Result<&'static [u8], String>> = OnceLock::new();
    OUTCOME.get_or_init(load).clone().map_err(Error::Font)
}

fn load() -> std::result::Result<&'static [u8], String> {
    let chosen = std::env::var_os("ZONGLAN_FONT").map(PathBuf::from);
    let paths: Vec<PathBuf> = chosen.into_iter().chain(PATHS.iter().map(PathBuf::from)).collect();
    let looked = || paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    for path in &paths {
        let Ok(mut bytes) = std::fs::read(path) else { continue };
        simplified_first(&mut bytes);
        // Registered fonts live as long as the program; the library wants 'static bytes.
        let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
        if register_font(FAMILY, FontStyle::Normal, bytes).is_ok() {
            return Ok(bytes);
        }
    }
    Err(looked())
}

/// In a TrueType collection, makes the face whose family ends in `SC` the first of the table.
fn simplified_first(bytes: &mut [u8]) {
    if bytes.get(..4) != Some(b"ttcf") {
        return;
    }
    let Some(count) = u32_at(bytes, 8) else { return };
    let faces: Vec<u32> = (0..count.min(64) as usize).map_while(|i| u32_at(bytes, 12 + 4 * i)).collect();
    let simplified = faces.iter().position(|offset| {
        family(bytes, *offset as usize).is_some_and(|name| name.ends_with(" SC") && !name.contains("Mono"))
    });
    if let Some(at) = simplified.filter(|at| *at > 0) {
        let (first, chosen) = (faces[0].to_be_bytes(), faces[at].to_be_bytes());
        bytes[12..16].copy_from_slice(&chosen);
        bytes[12 + 4 * at..16 + 4 * at].copy_from_slice(&first);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

/// The English family name (OpenType `name` table, id 1, platform Windows) of the face at `offset`.
fn family(bytes: &[u8], offset: usize) -> Option<String> {
    let tables = u16_at(bytes, offset + 4)?;
    let entry = (0..tables).map(|i| offset + 12 + 16 * i).find(|at| bytes.get(*at..at + 4) == Some(b"name"))?;
    let name = u32_at(bytes, entry + 8)? as usize;
    let (count, strings) = (u16_at(bytes, name + 2)?, name + u16_at(bytes, name + 4)?);
    for i in 0..count {
        let record = name + 6 + 12 * i;
        let field = |n: usize| u16_at(bytes, record + 2 * n);
        // Platform 3 (Windows), language 0x0409 (English), name 1 (family).
        if field(0)? == 3 && field(2)? == 0x0409 && field(3)? == 1 {
            let (length, at) = (field(4)?, strings + field(5)?);
            let units: Vec<u16> =
                bytes.get(at..at + length)?.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
            return Some(String::from_utf16_lossy(&units));
        }
    }
    None
}
