//! Characters of an address made uniform, each with its place in the input.

/// The text of an address with one spelling for each thing, and where each character came from.
#[derive(Debug, Clone)]
pub(crate) struct Normalised {
    pub chars: Vec<char>,
    /// Byte offset in the input of each character, and the input's length at the end. Characters
    /// that were left out (blanks) belong to the one before; leading ones to the first.
    pub offsets: Vec<usize>,
}

impl Normalised {
    pub fn new(input: &str) -> Self {
        let mut chars = Vec::with_capacity(input.len() / 3);
        let mut offsets = Vec::with_capacity(input.len() / 3 + 1);
        for (at, c) in input.char_indices() {
            let c = uniform(c);
            if c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}') {
                continue;
            }
            chars.push(c);
            offsets.push(if chars.len() == 1 { 0 } else { at });
        }
        offsets.push(input.len());
        digits_of_roads(&mut chars);
        Self { chars, offsets }
    }

    pub fn text(&self, from: usize, to: usize) -> String {
        self.chars[from..to].iter().collect()
    }
}

/// Half-width, upper case, simplified, one kind of dash and bracket.
fn uniform(c: char) -> char {
    let c = match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        other => other,
    };
    match c {
        'a'..='z' => c.to_ascii_uppercase(),
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '~' => '-',
        '【' | '〔' | '[' | '{' => '(',
        '】' | '〕' | ']' | '}' => ')',
        '號' => '号',
        '樓' => '楼',
        '棟' | '栋' => '幢',
        '衖' => '弄',
        '區' => '区',
        '縣' => '县',
        '鎮' => '镇',
        '鄉' => '乡',
        '東' => '东',
        '幹' => '干',
        '橋' => '桥',
        '層' => '层',
        '單' => '单',
        '與' => '与',
        '約' => '约',
        '離' => '离',
        '灣' => '湾',
        '廣' => '广',
        '場' => '场',
        '華' => '华',
        '陸' => '陆',
        '滬' => '沪',
        '閔' => '闵',
        '楊' => '杨',
        '盧' => '卢',
        '閘' => '闸',
        '匯' => '汇',
        '寧' => '宁',
        '靜' => '静',
        '長' => '长',
        '寶' => '宝',
        '黃' => '黄',
        '#' => '号',
        '×' => '/',
        '〇' | '○' => '零',
        other => other,
    }
}

/// Arabic digits within the names of roads and villages, as the signs have them: 中山南2路 -> 中山南二路.
fn digits_of_roads(chars: &mut [char]) {
    for i in 1..chars.len().saturating_sub(1) {
        let lone = chars[i].is_ascii_digit() && is_han(chars[i - 1]);
        if lone && matches!(chars[i + 1], '路' | '村') && !matches!(chars[i - 1], '号' | '弄' | '室' | '楼' | '幢')
        {
            const DIGITS: [char; 10] = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
            chars[i] = DIGITS[(chars[i] as u8 - b'0') as usize];
        }
    }
}

pub(crate) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2ebef}')
}

fn chinese_digit(c: char) -> Option<u32> {
    Some(match c {
        '零' => 0,
        '一' | '壹' => 1,
        '二' | '贰' | '两' => 2,
        '三' | '叁' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

/// A whole number in Arabic or Chinese digits at `at`, and where it ends. Chinese ones by place
/// (一百二十) or digit by digit (一二〇). At most seven digits.
pub(crate) fn number(chars: &[char], at: usize) -> Option<(u32, usize)> {
    let mut end = at;
    while end < chars.len() && end - at < 8 && chars[end].is_ascii_digit() {
        end += 1;
    }
    if end > at {
        let too_long = end - at > 7;
        let value = chars[at..end].iter().fold(0u32, |n, c| n.wrapping_mul(10).wrapping_add(*c as u32 - 48));
        return (!too_long).then_some((value, end));
    }
    let (mut total, mut section, mut digit) = (0u32, 0u32, None::<u32>);
    let mut by_place = false;
    while end < chars.len() && end - at < 10 {
        let c = chars[end];
        if let Some(d) = chinese_digit(c) {
            match digit {
                Some(before) if !by_place || before == 0 => {
                    digit = Some(before.checked_mul(10)?.checked_add(d)?);
                }
                Some(_) => break,
                None => digit = Some(d),
            }
        } else {
            let unit = match c {
                '十' | '拾' => 10,
                '百' | '佰' => 100,
                '千' | '仟' => 1000,
                '廿' => {
                    (section, by_place) = (section + 20, true);
                    end += 1;
                    continue;
                }
                _ => break,
            };
            by_place = true;
            section = section.checked_add(digit.take().unwrap_or(1).max(1).checked_mul(unit)?)?;
        }
        end += 1;
    }
    total += section;
    if end == at || (!by_place && digit.is_none()) {
        return None;
    }
    total = total.checked_add(digit.unwrap_or(0))?;
    (total < 10_000_000).then_some((total, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_scripts() {
        for (text, value) in [
            ("120", 120),
            ("一百二十", 120),
            ("一二零", 120),
            ("一百零五", 105),
            ("十五", 15),
            ("二十", 20),
            ("廿三", 23),
            ("两千", 2000),
            ("三千二百一十八", 3218),
            ("零", 0),
            ("八", 8),
        ] {
            let chars: Vec<char> = text.chars().collect();
            assert_eq!(number(&chars, 0), Some((value, chars.len())), "{text}");
        }
        for text in ["", "路", "123456789"] {
            assert_eq!(number(&text.chars().collect::<Vec<_>>(), 0), None, "{text}");
        }
    }

    #[test]
    fn blanks_go_to_the_character_before() {
        let n = Normalised::new("  １２ 號\u{3000}");
        assert_eq!(n.text(0, 3), "12号");
        assert_eq!(n.offsets, [0, 5, 9, 15]);
    }
}
