//! From text to [`Address`]: left to right, each recogniser in turn, the rest a place's name.

use super::normalise::{Normalised, is_han, number};
use super::{Address, Direction, HouseNumber, Offset, Part, PartKind, names};

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

struct Parser<'a> {
    c: &'a [char],
    at: usize,
    found: Vec<Found>,
    poi: String,
    a: Address,
}

const CROSSING_WORDS: [&str; 18] = [
    "十字路口", "丁字路口", "三岔路口", "交叉路口", "交叉口", "交汇处", "交会处", "交界处", "相交处", "交接处", "转角处", "转弯处",
    "转角", "拐角", "路口", "交口", "道口", "口",
];

/// After these a road's name can begin: what stands before is the name of a place.
const PLACE_ENDS: [&str; 13] =
    ["地铁站", "火车站", "公园", "医院", "大学", "中学", "小学", "广场", "小区", "花园", "大厦", "超市", "银行"];

impl Parser<'_> {
    fn take(&mut self, kind: PartKind, to: usize, standard: Option<String>) {
        self.found.push((kind, self.at, to, standard));
        self.at = to;
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.c[from..to].iter().collect()
    }

    fn peek(&self, at: usize) -> Option<char> {
        self.c.get(at).copied()
    }

    fn starts(&self, at: usize, word: &str) -> Option<usize> {
        let n = word.chars().count();
        (at + n <= self.c.len() && word.chars().eq(self.c[at..at + n].iter().copied())).then_some(at + n)
    }

    fn any(&self, at: usize, words: &[&str]) -> Option<usize> {
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
        let good = !known_word.iter().any(|w| name.ends_with(w)) && !name.contains(['路', '街', '弄', '号', '镇', '乡']);
        (good && self.peek(to) != Some('路')).then_some((to, name))
    }

    /// True if a road or street with a name of its own begins here: 宝山 before 友谊路 is a
    /// district, before 路 it is not.
    fn goes_on(&self, at: usize) -> bool {
        let road = self.road_at(at).is_some_and(|to| {
            let two = ["大道", "公路", "大街"].iter().any(|w| self.starts(to - 2, w) == Some(to));
            to - at >= if two { 4 } else { 3 }
        });
        road || self.street_at(at).is_some_and(|to| to - at >= 3 && !self.starts(at, "镇").is_some())
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
        if matches!(self.peek(from)?, '路' | '街' | '道' | '口') || self.any(from, &["大道", "大街", "公路"]).is_some() {
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

    fn road(&mut self) -> bool {
        let Some(to) = self.road_at(self.at) else { return false };
        // 徐家汇公园天平路: the road begins behind the place.
        for k in self.at + 2..to {
            if PLACE_ENDS.iter().any(|w| {
                let n = w.chars().count();
                k >= self.at + n && self.starts(k - n, w) == Some(k)
            }) && self.road_at(k) == Some(to)
            {
                let place = self.text(self.at, k);
                self.poi.push_str(&place);
                self.take(PartKind::Poi, k, None);
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
        let connector = self.any(at, &["靠近", "邻近", "临近", "到", "至", "出", "近", "靠", "与", "和", "跟", "同", "/", "-", "、", "&"]);
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

    fn direction(&self, at: usize) -> Option<(Direction, usize)> {
        use Direction::*;
        const ALL: [(&str, Direction); 12] = [
            ("东南", SouthEast),
            ("东北", NorthEast),
            ("西南", SouthWest),
            ("西北", NorthWest),
            ("南东", SouthEast),
            ("北东", NorthEast),
            ("南西", SouthWest),
            ("北西", NorthWest),
            ("东", East),
            ("南", South),
            ("西", West),
            ("北", North),
        ];
        ALL.iter().find_map(|(word, d)| self.starts(at, word).map(|to| (*d, to)))
    }

    fn offset(&mut self) -> bool {
        if self.a.offset.is_some() {
            return false;
        }
        let lead = self.any(self.at, &["以", "往", "向", "偏", "之"]);
        let Some((direction, end)) = self.direction(lead.unwrap_or(self.at)) else { return false };
        let side = self.any(end, &["方向", "侧", "面", "边", "首", "角", "端", "方"]);
        let mut at = side.unwrap_or(end);
        at = self.any(at, &["大约", "大概", "约", "近"]).unwrap_or(at);
        let distance = self.distance(at);
        // Without a distance 之北 may be the end of a name.
        let placed = self.a.road.is_some() || self.a.number.is_some() || self.a.village.is_some();
        let bare = side.or(lead.and(Some(end))).filter(|_| placed);
        let Some(to) = distance.map(|d| d.1).or(bare) else { return false };
        let to = if distance.is_some() { self.any(to, &["左右", "处", "范围内"]).unwrap_or(to) } else { to };
        let offset = Offset { direction, metres: distance.map(|d| d.0) };
        self.a.offset = Some(offset);
        self.take(PartKind::Offset, to, Some(offset.to_string()));
        true
    }

    /// Metres, and where the text goes on.
    fn distance(&self, at: usize) -> Option<(f64, usize)> {
        let (whole, mut to) = number(self.c, at)?;
        let mut value = f64::from(whole);
        if self.peek(to) == Some('.')
            && let Some((fraction, end)) = number(self.c, to + 1).filter(|(_, end)| *end <= to + 5)
        {
            value += f64::from(fraction) / 10f64.powi((end - to - 1) as i32);
            to = end;
        }
        for (unit, factor) in [("公里", 1000.0), ("千米", 1000.0), ("KM", 1000.0), ("里", 500.0), ("米", 1.0), ("M", 1.0)] {
            if let Some(end) = self.starts(to, unit) {
                return Some((value * factor, end));
            }
        }
        None
    }

    /// Numbers with their unit: lanes, houses, buildings, floors, rooms.
    fn numbered(&mut self) -> bool {
        let from = self.at;
        let provisional = self.starts(from, "临").is_some() && number(self.c, from + 1).is_some();
        let letter = match self.c[from] {
            c @ ('甲' | '乙' | '丙' | '丁') if number(self.c, from + 1).is_some() => Some(c),
            _ => None,
        };
        let start = from + usize::from(provisional || letter.is_some());
        let Some((n, end)) = number(self.c, start) else { return self.lettered() };
        if let Some(to) = self.any(end, &["支弄"]) {
            return self.lane(to, n);
        }
        if let Some(to) = self.starts(end, "弄").or_else(|| self.starts(end, "巷")) {
            return self.lane(to, n);
        }
        if let Some((m, e)) = self.starts(end, "支").and_then(|p| number(self.c, p)) {
            if let Some(to) = self.starts(e, "弄") {
                let fresh = self.a.lane.is_none() && self.a.sub_lane.is_none();
                if fresh {
                    (self.a.lane, self.a.sub_lane) = (Some(n), Some(m));
                    self.take(PartKind::Lane, to, Some(format!("{n}弄{m}支弄")));
                }
                return fresh;
            }
            if let Some(to) = self.starts(e, "号") {
                return self.house(to, HouseNumber { first: n, branch: Some(m), provisional, suffix: letter, ..Default::default() });
            }
        }
        let joined = self.any(end, &["号-", "号至", "号、", "-", "至", "、", "到"]).and_then(|p| number(self.c, p));
        if let Some((m, e)) = joined {
            if let Some(to) = self.starts(e, "号").filter(|to| self.peek(*to) != Some('楼')) {
                let range = m > n;
                let (last, branch) = if range { (Some(m), None) } else { (None, Some(m)) };
                return self.house(to, HouseNumber { first: n, last, branch, provisional, suffix: letter });
            }
            if self.starts(e, "弄").is_some_and(|to| self.lane(to, n)) {
                return true;
            }
        }
        if let Some(to) = self.any(end, &["号楼", "幢", "座"]) {
            let unit = if self.c[to - 1] == '楼' { "号楼" } else if self.c[to - 1] == '幢' { "幢" } else { "座" };
            return self.building(to, format!("{n}{unit}"));
        }
        if let Some(to) = self.starts(end, "单元") {
            return set(&mut self.a.unit, format!("{n}单元")) && self.done(PartKind::Unit, to, format!("{n}单元"));
        }
        if let Some(mut to) = self.starts(end, "号") {
            let mut house = HouseNumber { first: n, provisional, suffix: letter, ..Default::default() };
            if let Some((m, e)) = self.any(to, &["之", "附"]).and_then(|p| number(self.c, p)) {
                (house.branch, to) = (Some(m), e);
            }
            if let Some(c @ ('甲' | '乙' | '丙' | '丁' | 'A'..='F')) = self.peek(to)
                && letter.is_none()
                && !self.peek(to + 1).is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '座' | '幢' | '楼' | '区' | '-'))
            {
                house.suffix = Some(c);
                to += 1;
            }
            return self.house(to, house);
        }
        if let Some(to) = self.any(end, &["层", "楼", "F"]).filter(|to| !matches!(self.peek(*to), Some('梯' | '宇' | '盘'))) {
            return set(&mut self.a.floor, format!("{n}层")) && self.done(PartKind::Floor, to, format!("{n}层"));
        }
        if let Some(to) = self.any(end, &["室", "房", "铺"]) {
            // 012室 stays so.
            let text = if self.c[start].is_ascii_digit() { self.text(start, end) } else { n.to_string() };
            return set(&mut self.a.room, format!("{text}室")) && self.done(PartKind::Room, to, format!("{text}室"));
        }
        if let Some(to) = self.any(end, &["组", "队"]) {
            let text = format!("{n}{}", self.c[to - 1]);
            return set(&mut self.a.group, text.clone()) && self.done(PartKind::Group, to, text);
        }
        self.lettered()
    }

    fn done(&mut self, kind: PartKind, to: usize, text: String) -> bool {
        self.take(kind, to, Some(text));
        true
    }

    fn lane(&mut self, to: usize, n: u32) -> bool {
        if self.a.lane.is_none() && self.a.number.is_none() {
            self.a.lane = Some(n);
            return self.done(PartKind::Lane, to, format!("{n}弄"));
        }
        if self.a.lane.is_some() && self.a.sub_lane.is_none() && self.a.number.is_none() {
            self.a.sub_lane = Some(n);
            return self.done(PartKind::SubLane, to, format!("{n}支弄"));
        }
        false
    }

    fn house(&mut self, to: usize, house: HouseNumber) -> bool {
        if self.a.number.is_none() {
            let text = house.to_string();
            self.a.number = Some(house);
            return self.done(PartKind::Number, to, text);
        }
        // A second 号 is a building of the first.
        self.building(to, format!("{}号楼", house.first))
    }

    fn building(&mut self, to: usize, text: String) -> bool {
        set(&mut self.a.building, text.clone()) && self.done(PartKind::Building, to, text)
    }

    /// A301室, B座, B1层, 12-34室, 地下1层.
    fn lettered(&mut self) -> bool {
        let from = self.at;
        if let Some((n, end)) = self.starts(from, "地下").and_then(|p| number(self.c, p))
            && let Some(to) = self.any(end, &["层", "楼"])
        {
            return set(&mut self.a.floor, format!("地下{n}层")) && self.done(PartKind::Floor, to, format!("地下{n}层"));
        }
        let mut end = from;
        while end < self.c.len() && end - from < 12 && (self.c[end].is_ascii_alphanumeric() || self.c[end] == '-') {
            end += 1;
        }
        if end == from || !self.c[from].is_ascii_alphanumeric() {
            return false;
        }
        let run = self.text(from, end);
        if let Some(to) = self.any(end, &["室", "房", "铺"]) {
            return set(&mut self.a.room, format!("{run}室")) && self.done(PartKind::Room, to, format!("{run}室"));
        }
        if let Some(to) = self.any(end, &["座", "幢", "号楼", "楼"]).filter(|_| run.len() <= 3) {
            let unit = self.text(end, to);
            return self.building(to, format!("{run}{unit}"));
        }
        if let Some(to) = self.starts(end, "层").filter(|_| run.len() <= 4) {
            return set(&mut self.a.floor, format!("{run}层")) && self.done(PartKind::Floor, to, format!("{run}层"));
        }
        false
    }

    /// 漕溪北路123, 120弄4, 5号301: digits whose unit was left out.
    fn bare_number(&mut self) -> bool {
        if !self.c[self.at].is_ascii_digit() || (self.a.road.is_none() && self.a.village.is_none()) {
            return false;
        }
        let Some((n, to)) = number(self.c, self.at) else { return false };
        let measure = self.any(to, &["米", "公里", "千米", "KM", "M", "年", "月", "日", "点", "路", "%", "."]);
        if measure.is_some() {
            return false;
        }
        if self.a.number.is_none() {
            let house = HouseNumber { first: n, ..Default::default() };
            return self.house(to, house);
        }
        let text = format!("{}室", self.text(self.at, to));
        set(&mut self.a.room, text.clone()) && self.done(PartKind::Room, to, text)
    }
}

/// Once only: a second one stays unrecognised.
fn set(slot: &mut Option<String>, value: String) -> bool {
    let free = slot.is_none();
    if free {
        *slot = Some(value);
    }
    free
}
