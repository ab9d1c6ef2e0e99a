//! Bytes of a text file as UTF-8, in blocks.

use super::{PIECE, Piece, Stop, read_fully};
use crate::detect;
use crate::error::{IngestError, Result};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use std::io::Read;

/// How much of a file is looked at for its encoding; more if it is all ASCII so far.
const SAMPLE: usize = 1 << 20;
const MAX_ASCII_SAMPLE: usize = 16 << 20;

/// A text file being decoded. `buffer` holds decoded text not yet taken.
pub(crate) struct TextReader {
    input: Box<dyn Read + Send>,
    name: String,
    decoder: Option<Decoder>,
    /// Bytes read for detection and not yet decoded.
    ahead: Vec<u8>,
    pub buffer: Vec<u8>,
    pub damaged: bool,
    pub ended: bool,
    /// Line of the first byte of `buffer`.
    pub line: u64,
    pub encoding: &'static Encoding,
    taken: u64,
    max_bytes: Option<u64>,
}

impl TextReader {
    pub fn open(
        mut input: Box<dyn Read + Send>,
        name: &str,
        label: Option<&str>,
        max_bytes: Option<u64>,
    ) -> Result<Self> {
        let fail = |e: std::io::Error| IngestError::unreadable(name, e);
        let mut ahead = vec![0u8; SAMPLE];
        let n = read_fully(&mut input, &mut ahead).map_err(fail)?;
        ahead.truncate(n);
        let mut skip = 0;
        let encoding = if let Some((marked, length)) = detect::byte_order_mark(&ahead) {
            skip = length;
            marked
        } else if let Some(label) = label {
            Encoding::for_label(label.as_bytes())
                .ok_or_else(|| IngestError::Mapping(format!("不认识的编码「{label}」")))?
        } else {
            loop {
                if let Some(found) = detect::encoding(&ahead) {
                    break found;
                }
                let before = ahead.len();
                if !(SAMPLE..MAX_ASCII_SAMPLE).contains(&before) {
                    break UTF_8;
                }
                ahead.resize(before * 2, 0);
                let n = read_fully(&mut input, &mut ahead[before..]).map_err(fail)?;
                ahead.truncate(before + n);
                if n == 0 {
                    break UTF_8;
                }
            }
        };
        // GBK and GB2312 are read as the larger GB18030.
        let encoding = if encoding == encoding_rs::GBK { encoding_rs::GB18030 } else { encoding };
        ahead.drain(..skip);
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling());
        Ok(Self {
            input,
            name: name.to_string(),
            decoder,
            ahead,
            buffer: Vec::new(),
            damaged: false,
            ended: false,
            line: 1,
            encoding,
            taken: 0,
            max_bytes,
        })
    }

    /// Reads on until `buffer` holds at least `want` bytes or the file ends.
    pub fn fill(&mut self, want: usize) -> Result<()> {
        while self.buffer.len() < want && !self.ended {
            let missing = (want - self.buffer.len()).max(64 << 10);
            let mut block = if self.ahead.is_empty() {
                let mut block = vec![0u8; missing];
                let n = read_fully(&mut self.input, &mut block).map_err(|e| IngestError::unreadable(&self.name, e))?;
                block.truncate(n);
                block
            } else if self.ahead.len() > missing {
                let rest = self.ahead.split_off(missing);
                std::mem::replace(&mut self.ahead, rest)
            } else {
                std::mem::take(&mut self.ahead)
            };
            self.taken += block.len() as u64;
            if let Some(limit) = self.max_bytes.filter(|limit| self.taken > *limit) {
                return Err(IngestError::TooLarge { limit });
            }
            self.ended = block.is_empty();
            match &mut self.decoder {
                None if self.buffer.is_empty() => self.buffer = block,
                None => self.buffer.append(&mut block),
                Some(decoder) => self.damaged |= decode(decoder, &block, self.ended, &mut self.buffer),
            }
        }
        Ok(())
    }

    /// Takes the first `end` bytes of the buffer, with the line that they start on.
    pub fn take(&mut self, end: usize) -> (u64, Vec<u8>) {
        let mut rest = Vec::with_capacity(self.buffer.len() - end + PIECE / 4);
        rest.extend_from_slice(&self.buffer[end..]);
        self.buffer.truncate(end);
        let text = std::mem::replace(&mut self.buffer, rest);
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &text).count() as u64;
        (line, text)
    }
}

/// Decodes a block; true if bytes had to be replaced.
fn decode(decoder: &mut Decoder, mut block: &[u8], last: bool, into: &mut Vec<u8>) -> bool {
    let mut damaged = false;
    loop {
        let start = into.len();
        let room = decoder.max_utf8_buffer_length(block.len()).unwrap_or(block.len() * 3 + 16).min(4 << 20);
        into.resize(start + room, 0);
        let (result, read, written, replaced) = decoder.decode_to_utf8(block, &mut into[start..], last);
        into.truncate(start + written);
        damaged |= replaced;
        block = &block[read..];
        if result == CoderResult::InputEmpty {
            return damaged;
        }
    }
}

/// Emits pieces of whole records; `split` gives the end of the last whole record of a buffer.
/// `stuck` is asked when not even one record ends within `limit` bytes: where to cut, and the piece.
pub(crate) fn pieces(
    mut reader: TextReader,
    limit: usize,
    split: impl Fn(&[u8], bool) -> usize,
    body: impl Fn(Vec<u8>, bool) -> super::Body,
    stuck: impl Fn(&[u8]) -> Result<usize>,
    unclosed: impl Fn(Vec<u8>) -> super::Body,
    emit: &mut super::Emit,
) -> Result<(), Stop> {
    let mut want = PIECE;
    loop {
        reader.fill(want)?;
        if reader.buffer.is_empty() && reader.ended {
            return Ok(());
        }
        let end = split(&reader.buffer, reader.ended);
        if end > 0 {
            want = PIECE;
            let damaged = std::mem::take(&mut reader.damaged);
            let (first_line, text) = reader.take(end);
            // What is left over may hold replaced characters too.
            reader.damaged = damaged && !reader.buffer.is_empty();
            emit(Piece { first_line, body: body(text, damaged) })?;
        } else if reader.ended || reader.buffer.len() >= limit {
            let cut = stuck(&reader.buffer)?;
            let (first_line, text) = reader.take(cut);
            emit(Piece { first_line, body: unclosed(text) })?;
        } else {
            want = (reader.buffer.len() * 2).min(limit);
        }
    }
}
