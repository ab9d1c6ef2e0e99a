//! From text to [`Address`]: left to right, each recogniser in turn, the rest a place's name.

use super::normalise::{Normalised, is_han};
use super::{Address, Part, PartKind, names};

pub(super) fn parse(input: &str) -> Address {
    let text = Normalised::new(input);
    let mut parser = Parser { c: &text.chars, at: 0, found: Vec::new(), poi: String::new(), a: Address::default() };
    parser.head();
    while parser.at < parser.c.len() {
        if !parser.next() {
            let from = parser.at;
            parser.poi.push(parser.c[from]);
            parser.take(PartKind::Poi, from + 1, None);
        }
    }
    let Parser { found, poi, a, .. } = parser;
    finish(a, &poi, found, &text, input)
}

/// A recognised stretch: kind, start, end (in characters), standard form if it is another.
type Found = (PartKind, usize, usize, Option<String>);

fn finish(mut a: Address, poi: &str, found: Vec<Found>, text: &Normalised, input: &str) -> Address {
    if !poi.is_empty() {
        a.poi = Some(poi.to_owned());
    }
    let mut parts: Vec<Part> = Vec::new();
    for (kind, from, to, standard) in found {
        let span = text.offsets[from]..text.offsets[to];
        match parts.last_mut() {
            Some(last) if kind == PartKind::Poi && last.kind == kind => {
                last.span.end = span.end;
                last.text.push_str(&text.text(from, to));
            }
            _ => parts.push(Part { kind, span, text: standard.unwrap_or_else(|| text.text(from, to)) }),
        }
    }
    if parts.is_empty() && !input.is_empty() {
        parts.push(Part { kind: PartKind::Punctuation, span: 0..input.len(), text: String::new() });
    }
    a.parts = parts;
    a
}

pub(super) struct Parser<'a> {
    pub(super) c: &'a [char],
    pub(super) at: usize,
    found: Vec<Found>,
    poi: String,
    pub(super) a: Address,
}

const CROSSING_WORDS: [&str; 18] = [
    "十字路口",
    "丁字路口",
    "三岔路口",
    "交叉路口",
    "交叉口",
    "交汇处",
    "交会处",
    "交界处",
    "相交处",
    "交接处",
    "转角处",
    "转弯处",
    "转角",
    "拐角",
    "路口",
    "交口",
    "道口",
    "口",
];

/// After these a road's name can begin: what stands before is the name of a place.
const PLACE_ENDS: [&str; 19] = [
    "地铁站",
    "火车站",
    "公园",
    "医院",
    "大学",
    "中学",
    "小学",
    "广场",
    "小区",
    "花园",
    "大厦",
    "超市",
    "银行",
    "园区",
    "开发区",
    "新片区",
    "工业区",
    "度假区",
    "保税区",
];

/// What follows a road's name and is no other road.
const AFTER_ROAD: [&str; 13] = [
    "高架路",
    "高架",
    "步行街",
    "上匝道",
    "下匝道",
    "匝道",
    "北向南",
    "南向北",
    "东向西",
    "西向东",
    "出口处",
    "入口处",
    "地面道路",
];

impl Parser<'_> {
    pub(super) fn take(&mut self, kind: PartKind, to: usize, standard: Option<String>) {
        self.found.push((kind, self.at, to, standard));
        self.at = to;
    }

    pub(super) fn text(&self, from: usize, to: usize) -> String {
        self.c[from..to].iter().collect()
    }

    pub(super) fn peek(&self, at: usize) -> Option<char> {
        self.c.get(at).copied()
    }

    pub(super) fn starts(&self, at: usize, word: &str) -> Option<usize> {
        let n = word.chars().count();
        (at + n <= self.c.len() && word.chars().eq(self.c[at..at + n].iter().copied())).then_some(at + n)
    }

    pub(super) fn any(&self, at: usize, words: &[&str]) -> Option<usize> {
        words.iter().find_map(|w| self.starts(at, w))
    }

    /// Punctuation and the words that introduce an address.
    fn skip_marks(&mut self) -> bool {
        let from = self.at;
        let mut to = from;
        let decimal = self.peek(to) == Some('.')
            && to > 0
            && [to - 1, to + 1].into_iter().all(|i| self.peek(i).is_some_and(|c| c.is_ascii_digit()));
        while !decimal && self.peek(to).is_some_and(|c| !c.is_alphanumeric() && !is_han(c)) {
            to += 1;
        }
        if to == from
            && self.a.road.is_none()
            && let Some(end) = self.any(from, &["位于", "地处", "地址", "住址", "详细地址"])
        {
            to = end;
        }
        if to > from {
            self.take(PartKind::Punctuation, to, None);
        }
        to > from
    }

    /// Country to street, each at most once and in order.
    fn head(&mut self) {
        while self.skip_marks() {}
        if let Some(to) = self.any(self.at, &["中华人民共和国", "中国"]) {
            self.take(PartKind::Country, to, None);
        }
        while self.skip_marks() {}
        if let Some(to) = self.ending(self.at, "自治区", 2..=9).or_else(|| self.ending(self.at, "省", 2..=3)) {
            self.a.province = Some(self.text(self.at, to));
            self.take(PartKind::Province, to, None);
        }
        while self.skip_marks() {}
        if let Some(to) = self.city() {
            self.a.city = Some("上海市".to_owned()).filter(|_| self.starts(self.at, "上海").is_some());
            let name = self.a.city.get_or_insert_with(|| self.c[self.at..to].iter().collect()).clone();
            self.take(PartKind::City, to, Some(name));
        }
        while self.skip_marks() {}
        if let Some((to, name)) = self.district() {
            self.a.district = Some(name.clone());
            self.take(PartKind::District, to, Some(name));
        }
        while self.skip_marks() {}
        if let Some(to) = self.street_at(self.at) {
            let end = if self.peek(to - 1) == Some('处') { to - 3 } else { to };
            let name = self.text(self.at, end);
            self.a.street = Some(name.clone());
            self.take(PartKind::Street, to, Some(name));
        }
    }

    /// Han characters (`stem` of them) and then a word.
    fn ending(&self, from: usize, word: &str, stem: std::ops::RangeInclusive<usize>) -> Option<usize> {
        for n in 0..=*stem.end() {
            if n >= *stem.start()
                && let Some(to) = self.starts(from + n, word)
            {
                return Some(to);
            }
            if !self.peek(from + n).is_some_and(is_han) {
                return None;
            }
        }
        None
    }

    fn city(&self) -> Option<usize> {
        if let Some(to) = self.starts(self.at, "上海市") {
            return Some(to);
        }
        if let Some(to) = self.starts(self.at, "上海") {
            return (names::district_at(&self.c[to..]).is_some() || self.goes_on(to)).then_some(to);
        }
        let to = self.ending(self.at, "市", 2..=5)?;
        let stem: String = self.c[self.at..to - 1].iter().collect();
        let good = !stem.ends_with(['超', '城', '门', '夜', '菜', '花', '股', '都', '集'])
            && !stem.contains(['路', '街', '号', '弄', '区', '县', '镇'])
            && !matches!(self.peek(to), Some('场' | '政' | '民' | '中'));
        good.then_some(to)
    }

    fn district(&self) -> Option<(usize, String)> {
        if let Some((n, full, suffix)) = names::district_at(&self.c[self.at..]) {
            let to = self.at + n;
            if (suffix && self.peek(to) != Some('路')) || (!suffix && self.goes_on(to)) {
                return Some((to, full.to_owned()));
            }
            return None;
        }
        let to = self.ending(self.at, "区", 2..=4).or_else(|| self.ending(self.at, "县", 1..=4))?;
        let name = self.text(self.at, to);
        let known_word = ["小区", "社区", "园区", "校区", "厂区", "景区", "片区", "新区", "工业区", "开发区", "城区"];
        let good =
            !known_word.iter().any(|w| name.ends_with(w)) && !name.contains(['路', '街', '弄', '号', '镇', '乡']);
        (good && self.peek(to) != Some('路')).then_some((to, name))
    }

    /// True if a road or street with a name of its own begins here: 宝山 before 友谊路 is a
    /// district, before 路 it is not.
    fn goes_on(&self, at: usize) -> bool {
        let road = self.road_at(at).is_some_and(|to| {
            let two = ["大道", "公路", "大街"].iter().any(|w| self.starts(to - 2, w) == Some(to));
            to - at >= if two { 4 } else { 3 }
        });
        road || self.street_at(at).is_some_and(|to| to - at >= 3 && self.starts(at, "镇").is_none())
    }

    fn street_at(&self, from: usize) -> Option<usize> {
        for n in 0..=7 {
            let c = self.peek(from + n)?;
            if !is_han(c) {
                return None;
            }
            if n >= 2
                && let Some(to) = self.starts(from + n, "街道")
            {
                return Some(self.starts(to, "办事处").unwrap_or(to));
            }
            let next = self.peek(from + n + 1);
            let town = (c == '镇' && self.starts(from + n + 1, "街道").is_none() && !matches!(next, Some('路' | '街')))
                || (c == '乡' && !matches!(next, Some('路' | '街' | '村')));
            if n >= 1 && town && !self.c[from..from + n].iter().any(|c| matches!(c, '路' | '街' | '弄' | '号')) {
                return Some(from + n + 1);
            }
        }
        None
    }

    /// Where the road that begins here ends.
    fn road_at(&self, from: usize) -> Option<usize> {
        if matches!(self.peek(from)?, '路' | '街' | '道' | '口') || self.any(from, &["大道", "大街", "公路"]).is_some()
        {
            return None;
        }
        for j in from..(from + 11).min(self.c.len()) {
            let (c, next) = (self.c[j], self.peek(j + 1));
            // 七号桥路
            let bridge = j > from && c == '号' && next == Some('桥') && !self.c[j - 1].is_ascii_digit();
            if !(is_han(c) || c.is_ascii_alphanumeric())
                || (j > from && matches!(c, '弄' | '号' | '室' | '幢' | '米') && !bridge)
            {
                return None;
            }
            if c == '街' && next == Some('道') {
                return None;
            }
            if j == from {
                continue;
            }
            let before = self.c[j - 1];
            let ends = match c {
                '路' => !matches!(before, '铁' | '网') && next != Some('灯'),
                '街' => true,
                '道' => matches!(before, '大' | '国' | '省' | '县') && j - from >= 2,
                '巷' => !matches!(before, '小' | '街'),
                '线' => before == '环',
                '环' => {
                    matches!(before, '内' | '中' | '外')
                        && j - from == 1
                        && !matches!(next, Some('线' | '路' | '高' | '东' | '南' | '西' | '北'))
                }
                '速' => before == '高' && next != Some('公'),
                '架' => before == '高' && next != Some('路') && j - from >= 2,
                _ => false,
            };
            if !ends {
                continue;
            }
            let stem = &self.c[from..j];
            let alone = stem.len() == 1 && matches!(stem[0], '东' | '西' | '南' | '北' | '中' | '公' | '支');
            let bus = c == '路' && stem.iter().all(char::is_ascii_digit);
            return (!alone && !bus).then_some(j + 1);
        }
        None
    }

    fn village_at(&self, from: usize) -> Option<usize> {
        for n in 0..=8 {
            let c = self.peek(from + n)?;
            if !is_han(c) || matches!(c, '路' | '街' | '弄' | '号') {
                return None;
            }
            if n >= 1 {
                if c == '村' && !matches!(self.peek(from + n + 1), Some('路' | '镇' | '街' | '道')) {
                    let to = from + n + 1;
                    return Some(self.any(to, &["民委员会", "委会"]).unwrap_or(to));
                }
                if let Some(to) = self.any(from + n, &["居委会", "居民委员会"]) {
                    return Some(to);
                }
            }
        }
        None
    }

    /// One part at the present place.
    fn next(&mut self) -> bool {
        let here = self.c[self.at];
        if self.a.road.is_some() && self.crossing_word() {
            return true;
        }
        if self.a.road.is_some()
            && let Some(to) = self.any(self.at, &AFTER_ROAD)
        {
            self.place(to);
            return true;
        }
        if self.at > 0 && self.offset() {
            return true;
        }
        if self.skip_marks() {
            return true;
        }
        // 一二八纪念路, 七号桥路: a name may begin like a number.
        if self.a.road.is_none() && !here.is_ascii_digit() && self.road() {
            return true;
        }
        if self.numbered() || self.road() {
            return true;
        }
        if self.a.village.is_none()
            && self.a.number.is_none()
            && is_han(here)
            && let Some(to) = self.village_at(self.at)
        {
            self.a.village = Some(self.text(self.at, to));
            self.take(PartKind::Village, to, None);
            return true;
        }
        self.bare_number()
    }

    /// The name of a place up to `to`.
    fn place(&mut self, to: usize) {
        let name = self.text(self.at, to);
        self.poi.push_str(&name);
        self.take(PartKind::Poi, to, None);
    }

    fn road(&mut self) -> bool {
        let Some(to) = self.road_at(self.at) else { return false };
        // 徐家汇公园天平路: the road begins behind the place.
        for k in self.at + 2..to {
            if PLACE_ENDS.iter().any(|w| {
                let n = w.chars().count();
                k >= self.at + n && self.starts(k - n, w) == Some(k)
            }) && self.road_at(k) == Some(to)
            {
                self.place(k);
                break;
            }
        }
        let name = self.text(self.at, to);
        if self.a.road.is_none() {
            self.a.road = Some(name);
            self.take(PartKind::Road, to, None);
        } else {
            self.a.crossings.push(name);
            self.take(PartKind::Crossing, to, None);
        }
        true
    }

    fn crossing_word(&mut self) -> bool {
        let at = self.at;
        let connector = self.any(
            at,
            &["靠近", "邻近", "临近", "到", "至", "出", "近", "靠", "与", "和", "跟", "同", "/", "-", "、", "&"],
        );
        let to = match connector {
            Some(to) if self.road_at(to).is_some() => Some(to),
            _ => {
                let after_road = matches!(self.found.last(), Some((PartKind::Road | PartKind::Crossing, ..)));
                self.any(at, &CROSSING_WORDS).filter(|_| after_road)
            }
        };
        if let Some(to) = to {
            self.take(PartKind::CrossingWord, to, None);
        }
        to.is_some()
    }
}
