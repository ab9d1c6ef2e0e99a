//! From a text to hashed character n-grams, in one pass and without allocation of strings.

/// Bits of the feature space: 2^20 weights of 4 bytes stay in the second-level cache for the frequent ones.
pub const BITS: u32 = 20;
pub const WIDTH: usize = 1 << BITS;

/// Characters read of a text; the rest of a long one changes little.
const LONGEST: usize = 600;

/// The character a text is read as: full width to half width, upper to lower case, digits to `0`.
fn folded(c: char) -> char {
    let c = match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    };
    match c {
        '0'..='9' => '0',
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => c,
    }
}

/// The text without addresses, mentions and repeated characters: what is hashed, classified and compared.
/// Links and `@names` are cut, so that nobody's name becomes a feature.
pub fn clean_into(text: &str, out: &mut Vec<char>) {
    out.clear();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = folded(c);
        if c == '@' || (c == 'h' && starts_link(&chars)) {
            while chars.next_if(|c| !c.is_whitespace() && !is_stop(*c)).is_some() {}
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            continue;
        }
        // 「太好了！！！！！」 and 「好好好好好」: three tell as much as ten.
        let n = out.len();
        if n >= 3 && out[n - 1] == c && out[n - 2] == c && out[n - 3] == c {
            continue;
        }
        out.push(c);
        if out.len() == LONGEST {
            break;
        }
    }
}

fn starts_link(rest: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    "ttp".chars().all(|c| rest.next().map(|r| r.to_ascii_lowercase()) == Some(c))
}

fn is_stop(c: char) -> bool {
    matches!(c, '，' | '。' | '！' | '？' | '：' | '；' | '、' | ',' | '!' | '?' | ';')
}

/// Calls `f` with the hashed feature of each 1-, 2- and 3-gram; the text has a mark at both ends.
pub fn each(clean: &[char], mut f: impl FnMut(u32)) {
    const MARK: u64 = 0x11_0000;
    let (mut one, mut two) = (0, MARK);
    for c in clean.iter().map(|c| *c as u64).chain([MARK]) {
        if c != MARK {
            f(hash(c, 1));
        }
        f(hash(two << 21 | c, 2));
        if one != 0 {
            f(hash(one << 42 | two << 21 | c, 3));
        }
        (one, two) = (two, c);
    }
}

fn hash(key: u64, n: u64) -> u32 {
    // Multiply-shift with a round of mixing; the upper bits are the well-mixed ones.
    let mixed = (key ^ (n << 61)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> (64 - BITS)) as u32
}
