//! Names of Shanghai's districts, present and former, as addresses write them.

/// What an address may call a district, and the present name. Former districts: GB/T 2260 history,
/// the same facts as `data/sh_district_facts.json`. Without 区 or 县 a name only counts where
/// the text goes on like an address (宝山 is also 宝山路).
const DISTRICTS: [(&str, &str); 25] = [
    ("黄浦", "黄浦区"),
    ("徐汇", "徐汇区"),
    ("长宁", "长宁区"),
    ("静安", "静安区"),
    ("普陀", "普陀区"),
    ("虹口", "虹口区"),
    ("杨浦", "杨浦区"),
    ("闵行", "闵行区"),
    ("宝山", "宝山区"),
    ("嘉定", "嘉定区"),
    ("浦东新", "浦东新区"),
    ("浦东", "浦东新区"),
    ("金山", "金山区"),
    ("松江", "松江区"),
    ("青浦", "青浦区"),
    ("奉贤", "奉贤区"),
    ("崇明", "崇明区"),
    ("卢湾", "黄浦区"),
    ("南市", "黄浦区"),
    ("闸北", "静安区"),
    ("南汇", "浦东新区"),
    ("川沙", "浦东新区"),
    ("上海", "闵行区"),
    ("吴淞", "宝山区"),
    ("杨树浦", "杨浦区"),
];

/// The present name of a district named with or without its suffix (闸北区, 闸北, 崇明县).
pub(crate) fn present_name(name: &str) -> Option<&'static str> {
    let stem = name.strip_suffix(['区', '县']);
    // 上海县 was a county; 上海 and 上海区 are nothing.
    if name.starts_with("上海") && name != "上海县" {
        return None;
    }
    DISTRICTS.iter().find(|(short, _)| Some(*short) == stem || *short == name).map(|(_, full)| *full)
}

/// A district at the start of `text`: the length in characters, the present name, and whether
/// 区, 新区 or 县 was written.
pub(crate) fn district_at(text: &[char]) -> Option<(usize, &'static str, bool)> {
    let mut best: Option<(usize, &'static str, bool)> = None;
    for (short, full) in DISTRICTS {
        let n = short.chars().count();
        if text.len() < n || !short.chars().eq(text[..n].iter().copied()) {
            continue;
        }
        let suffix = matches!(text.get(n), Some('区' | '县'));
        if short == "上海" && text.get(n) != Some(&'县') {
            continue;
        }
        let found = (n + usize::from(suffix), full, suffix);
        if best.is_none_or(|b| (found.2, found.0) > (b.2, b.0)) {
            best = Some(found);
        }
    }
    best
}
