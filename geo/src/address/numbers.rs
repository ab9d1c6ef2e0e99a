//! The parts of an address that are numbers: lanes, houses, buildings, floors, rooms, distances.

use super::normalise::{is_han, number};
use super::parse::Parser;
use super::{Direction, HouseNumber, Offset, PartKind};

impl Parser<'_> {
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

    pub(super) fn offset(&mut self) -> bool {
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
        for (unit, factor) in
            [("公里", 1000.0), ("千米", 1000.0), ("KM", 1000.0), ("里", 500.0), ("米", 1.0), ("M", 1.0)]
        {
            if let Some(end) = self.starts(to, unit) {
                return Some((value * factor, end));
            }
        }
        None
    }

    /// Numbers with their unit: lanes, houses, buildings, floors, rooms.
    pub(super) fn numbered(&mut self) -> bool {
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
                return self.house(
                    to,
                    HouseNumber { first: n, branch: Some(m), provisional, suffix: letter, ..Default::default() },
                );
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
            let unit = if self.c[to - 1] == '楼' {
                "号楼"
            } else if self.c[to - 1] == '幢' {
                "幢"
            } else {
                "座"
            };
            return self.building(to, format!("{n}{unit}"));
        }
        if let Some(to) = self.starts(end, "单元") {
            return set(&mut self.a.unit, format!("{n}单元")) && self.done(PartKind::Unit, to, format!("{n}单元"));
        }
        // 2号口, 3号线, 1号航站楼 are places.
        if let Some(mut to) = self.starts(end, "号")
            && !matches!(self.peek(to), Some('口' | '线' | '航'))
        {
            let mut house = HouseNumber { first: n, provisional, suffix: letter, ..Default::default() };
            if let Some((m, e)) = self.any(to, &["之", "附"]).and_then(|p| number(self.c, p)) {
                (house.branch, to) = (Some(m), e);
            }
            // 2028号-1; 28号-301 is a room.
            if let Some((m, e)) = self.starts(to, "-").and_then(|p| number(self.c, p))
                && m < 100
                && house.branch.is_none()
                && !self.peek(e).is_some_and(|c| c == '-' || is_han(c))
            {
                (house.branch, to) = (Some(m), e);
            }
            if let Some(c @ ('甲' | '乙' | '丙' | '丁' | 'A'..='F')) = self.peek(to)
                && letter.is_none()
                && !self
                    .peek(to + 1)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '座' | '幢' | '楼' | '区' | '-'))
            {
                house.suffix = Some(c);
                to += 1;
            }
            return self.house(to, house);
        }
        if let Some(to) =
            self.any(end, &["层", "楼", "F"]).filter(|to| !matches!(self.peek(*to), Some('梯' | '宇' | '盘')))
        {
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
            return set(&mut self.a.floor, format!("地下{n}层"))
                && self.done(PartKind::Floor, to, format!("地下{n}层"));
        }
        let mut end = from;
        while end < self.c.len() && end - from < 12 && (self.c[end].is_ascii_alphanumeric() || self.c[end] == '-') {
            end += 1;
        }
        if end == from || !self.c[from].is_ascii_alphanumeric() {
            return false;
        }
        let run = self.text(from, end);
        if let Some(to) = self.any(end, &["室", "房", "铺", "号铺"]) {
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
    pub(super) fn bare_number(&mut self) -> bool {
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
