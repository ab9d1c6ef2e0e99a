//! Made texts and rules with known outcomes.

use super::*;
use crate::sentiment::{Options, train};

fn model() -> Model {
    const GOOD: [&str; 4] = ["很满意", "非常方便", "值得表扬", "修得又快又好"];
    const BAD: [&str; 4] = ["太差了", "没人管", "很失望", "又坏了"];
    let build = |ends: &[&str]| -> Vec<String> {
        (0..400u32)
            .map(|i| {
                let filler: String =
                    (0..5).filter_map(|k| char::from_u32(0x4e00 + (i * 37 + k * 401) % 9_000)).collect();
                format!("{filler}{}{}", ends[i as usize % 4], ends[i as usize / 7 % 4])
            })
            .collect()
    };
    let (good, bad) = (build(&GOOD), build(&BAD));
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
    train(&good, &bad, &Options { powers: vec![0.3], ..Options::default() }).expect("enough texts")
}

fn text(text: &str, platform: &str, district: &str, day: i32) -> Text {
    Text { text: text.into(), platform: platform.into(), district: district.into(), day }
}

fn rule(json: Value) -> TopicRule {
    let mut base = json!({"name": "metro", "version": "1", "label": {"zh": "地铁", "en": "Metro"}, "topic": "metro",
        "keywords": ["地铁", "扶梯"], "exclude": ["招聘"], "window_days": 3, "min_negative": 3,
        "min_negative_district": 2, "min_share": 0.6, "areas": ["city", "district"], "status": "未确认"});
    for (key, value) in json.as_object().expect("an object") {
        base[key] = value.clone();
    }
    serde_json::from_value(base).expect("a rule")
}

// modules: L225
#[test]
fn mentions_and_links_are_cut_for_people_too() {
    let clean = readable("  @张三 扶梯坏了，@李四，看 http://t.cn/abc 这里　WWW.x.cn 好＠王五 完");
    assert_eq!(clean, "扶梯坏了，，看 这里 好 完");
    assert_eq!(readable("a@b.c d"), "a d");
    assert!(readable("@只有名字").is_empty());
}

// modules: L270
#[test]
fn rules_count_windows_areas_exclusions_and_platforms() {
    use Label::{Negative, Positive};
    let given = [
        ("扶梯坏了", "weibo", "310101", 10, Negative),
        ("地铁又坏了", "video", "310101", 11, Negative),
        ("地铁指示牌混乱", "weibo", "310104", 11, Negative),
        ("地铁公司招聘太差了", "weibo", "310104", 11, Negative),
        ("新开的地铁口很方便", "news", "310101", 11, Positive),
        ("公园没人管", "weibo", "310101", 11, Negative),
    ];
    let texts: Vec<Text> = given.iter().map(|g| text(g.0, g.1, g.2, g.3)).collect();
    let assessed: Vec<Assessed> = given
        .iter()
        .enumerate()
        .map(|(first, g)| Assessed {
            text: g.0.into(),
            label: g.4,
            positive: if g.4 == Positive { 0.9 } else { 0.1 },
            topic: "metro".into(),
            first,
            copies: 0,
        })
        .collect();
    let rules = vec![rule(json!({})), rule(json!({"platforms": ["weibo"], "min_negative": 2}))];
    let find = |out: &[Alert], rule, district: &str, day| {
        out.iter().find(|a| a.rule == rule && a.district == district && a.day == day).cloned()
    };
    let out = alerts(&rules, &texts, &assessed, 9..=14);
    assert!(find(&out, 0, "310000", 9).is_none(), "no text yet");
    let first = find(&out, 0, "310000", 10).expect("one text");
    assert_eq!((first.texts, first.negative, first.alert), (1, 1, false));
    let city = find(&out, 0, "310000", 11).expect("a day");
    assert_eq!((city.texts, city.negative, city.alert, city.started), (4, 3, true, true));
    assert!((city.share - 0.75).abs() < 1e-9);
    assert_eq!(city.platforms, [("video".to_string(), 1), ("weibo".to_string(), 2)].into());
    let next = find(&out, 0, "310000", 12).expect("a day");
    assert!(next.alert && !next.started);
    // On the 13th the text of the 10th has left the window.
    assert_eq!(find(&out, 0, "310000", 13).expect("a day").negative, 2);
    assert!(find(&out, 0, "310000", 14).is_none());
    let district = find(&out, 0, "310101", 11).expect("a day");
    assert_eq!((district.texts, district.negative, district.alert), (3, 2, true));
    let weibo = find(&out, 1, "310000", 11).expect("a day");
    assert_eq!((weibo.texts, weibo.negative, weibo.alert), (2, 2, true));
    // Share: with two good texts more it falls below.
    let calm = vec![rule(json!({"min_share": 0.8}))];
    assert!(!find(&alerts(&calm, &texts, &assessed, 11..=11), 0, "310000", 11).expect("a day").alert);
}

// modules: L228
#[test]
fn evaluation_sorts_copies_and_has_no_place_for_an_author() {
    let catalogue = Catalogue::builtin().expect("the packs are valid");
    let model = model();
    let long = "今天早高峰地铁二号线换乘通道的扶梯停了，大家只能走楼梯，老人和孩子很不方便，太差了没人管";
    let body = json!({"texts": [
        {"text": long, "platform": "weibo", "district": "310101", "day": "2026-03-02"},
        {"text": format!("@张三 {long}！！"), "platform": "video", "district": "310104", "day": "2026-03-03"},
        {"text": "楼上违法搭建又坏了", "platform": "forum", "district": "310104", "day": "2026-03-03"},
    ], "rules": ["metro"]});
    let out = evaluate(body, &catalogue, &model).expect("valid");
    assert_eq!((&out["results"][0]["topic"], &out["results"][0]["copies"]), (&json!("metro"), &json!(1)));
    assert_eq!(out["results"][1]["first"], json!(0));
    assert_eq!(out["results"][2]["topic"], json!("illegal_building"));
    assert!(!out.to_string().contains("张三"), "{out}");
    let city = &out["rules"].as_array().expect("rules")[0];
    assert_eq!((&city["district"], &city["texts"], &city["alert"]), (&json!("310000"), &json!(2), &json!(false)));
    assert!(city["explanation"].as_str().is_some_and(|e| e.contains("未达到阈值")));
    for field in ["author", "user", "account", "ip", "nickname"] {
        let mut text = json!({"text": "好", "day": "2026-03-02"});
        text[field] = json!("x");
        assert!(evaluate(json!({"texts": [text]}), &catalogue, &model).is_err(), "{field}");
    }
    assert!(evaluate(json!({"texts": [], "rules": ["none"]}), &catalogue, &model).is_err());
}

#[test]
fn no_dataset_of_opinion_has_a_field_for_an_author() {
    let catalogue = Catalogue::builtin().expect("the packs are valid");
    for name in ["public_opinion", "opinion_assessment", "opinion_alert", "hot_word"] {
        let dataset = catalogue.dataset(name).expect("declared");
        for field in &dataset.field {
            let text = format!("{} {} {}", field.name, field.label.zh, field.label.en).to_lowercase();
            for word in ["author", "user", "account", "nick", "作者", "用户", "昵称", "账号", "发布人", "ip"]
            {
                // `ip` only as a word of its own.
                let found = if word == "ip" { text.split(['_', ' ']).any(|w| w == word) } else { text.contains(word) };
                assert!(!found, "{name}.{}: {word}", field.name);
            }
            assert!(!field.person_key, "{name}.{}", field.name);
        }
    }
}
