//! The query language over texts, and what stands around the hits: similar documents, suggestions,
//! corrections, histograms, explanations.

use crate::city::{City, Dice, everyone, judgment, person, request, row, text};
use std::time::{Duration, Instant};
use zonglan_catalog::Value;
use zonglan_catalog::search::{Histogram, Likeness, SearchRequest, Step};
use zonglan_catalog::traits::{Cancel, SearchIndex};

fn city() -> City {
    let city = City::new();
    let judge = |id: &str, court: &str, day: (i32, u32, u32), charge: &str, body: &str| {
        row(
            id,
            &[
                ("case_number", text(&format!("（2020）沪0104刑初{id}号"))),
                ("court", text(court)),
                ("charge", text(charge)),
                ("district", text("310104")),
                ("decided", Value::Date(chrono::NaiveDate::from_ymd_opt(day.0, day.1, day.2).expect("a day"))),
                ("months", Value::Int(i64::from(day.1))),
                ("text", text(body)),
            ],
        )
    };
    city.put(
        "judgment",
        &[
            judge("1", "上海市徐汇区人民法院", (2019, 3, 1), "theft", "公诉机关指控：被告人入户盗窃电动自行车。被告人辩称没有盗窃。本院认为，被告人自首，从轻处罚。判决如下：有期徒刑六个月。"),
            judge("2", "上海市徐汇区人民法院", (2020, 5, 2), "theft", "公诉机关指控：被告人盗窃手机。\n本院认为，被告人是累犯。被告人没有自首。判决如下：有期徒刑一年。"),
            judge("3", "上海市第一中级人民法院", (2022, 5, 9), "fraud", "公诉机关指控：被告人诈骗他人钱款，自首。本院认为，数额巨大。判决如下：有期徒刑三年。"),
            judge("4", "上海市长宁区人民法院", (2022, 7, 9), "theft", "被告人危险驾驶，血液酒精含量超标。逃逸之后报警。"),
        ],
        None,
    );
    city
}

#[test]
fn the_language_finds_what_it_says() {
    let city = city();
    let ids = |query: &str| {
        let mut ids = city.ids(query);
        ids.sort();
        ids.concat()
    };
    for (query, expect) in [
        ("+盗窃", "12"),
        ("盗窃 且 自首", "12"),
        ("盗窃 且 非 累犯", "1"),
        ("(盗窃 或 诈骗) 且 自首", "123"),
        ("-盗窃", "34"),
        ("被告人 /s 自首", "123"),
        ("累犯 /s 自首", ""),
        ("累犯 /p 自首", "2"),
        ("指控 /p 累犯", ""),
        ("累犯 NEAR/8 自首", "2"),
        ("累犯 NEAR/3 自首", ""),
        ("\"被告人\" NEAR/2 (自首 或 累犯)", "12"),
        ("本院认为:自首", "12"),
        ("诉称:自首", "3"),
        ("-本院认为:自首", "34"),
        ("辩称:盗窃", "1"),
        ("判决如下:有期徒刑", "123"),
        ("电动*车", "1"),
        ("电动?行车", "1"),
        ("+醉驾", "4"),
        ("\"醉驾\"", ""),
        ("法院:徐汇", "12"),
        ("法院:*中级*", "3"),
        ("法院:\"上海市徐汇区\"", ""),
        ("法院:(中级 或 长宁)", "34"),
        ("罪名:盗窃", "124"),
        ("罪名:fraud", "3"),
        ("日期:2019..2020", "12"),
        ("日期:>=2022-06", "4"),
        ("日期:2022年5月", "3"),
        ("刑期:5", "23"),
        ("刑期:<5", "1"),
        ("区:徐汇区", "1234"),
        ("上诉:*", ""),
        ("案号:刑初2", "2"),
        ("[2020]沪0104刑初3号", "3"),
        ("(2020)沪0104刑初", "1234"),
        ("被告人 全文:累犯", "2"),
    ] {
        assert_eq!(ids(query), expect, "{query}");
    }
    // Search within results, and mistakes where they are asked for.
    let within = SearchRequest { within: vec!["+盗窃".into()], ..request("自首 或 累犯") };
    assert_eq!(city.ask(&everyone(), &within).total, 2);
    let strict = SearchRequest { strict: true, ..request("盗窃 且") };
    let error =
        city.indexes.search_blocking(&city.bind(&everyone(), &strict), &Cancel::default()).expect_err("refused");
    assert!(error.to_string().contains("第 4 到 4 字"), "{error}");
    assert_eq!(city.ask(&everyone(), &request("盗窃 且")).problems.len(), 1);
    // A masked field cannot be asked by.
    let bound = city.bind(&person("plain", "310000"), &request("嫌疑人:张*"));
    assert!(city.indexes.search_blocking(&bound, &Cancel::default()).is_err());
}

#[test]
fn marks_follow_the_conditions() {
    let city = city();
    let marked = |query: &str| -> Vec<String> {
        let page = city.ask(&everyone(), &request(query));
        let passage = page.hits[0].highlights.iter().find(|p| p.field == "text").expect("a passage");
        let chars: Vec<char> = passage.text.chars().collect();
        passage.marks.iter().map(|(f, t)| chars[*f..*t].iter().collect()).collect()
    };
    assert_eq!(marked("被告人 /s 累犯"), ["被告人", "累犯"]);
    assert_eq!(marked("本院认为:被告人 -累犯"), ["被告人"]);
    assert_eq!(marked("电动*车"), ["电动自行车"]);
    assert_eq!(marked("+醉驾"), ["危险驾驶"]);
}

#[test]
fn histograms_have_no_gaps() {
    let city = city();
    let ask = |step| {
        let histogram = Some(Histogram { field: None, step });
        city.ask(&everyone(), &SearchRequest { histogram, ..request("") }).histogram
    };
    let years: Vec<u64> = ask(Step::Year).iter().map(|b| b.count).collect();
    assert_eq!(years, [1, 1, 0, 2]);
    let months = ask(Step::Month);
    assert_eq!((months.len(), months[0].from.to_string()), (41, "2019-03-01".into()));
    let wrong =
        SearchRequest { histogram: Some(Histogram { field: Some("court".into()), step: Step::Day }), ..request("") };
    assert!(city.indexes.search_blocking(&city.bind(&everyone(), &wrong), &Cancel::default()).is_err());
}

#[test]
fn similar_documents_say_why() {
    let city = city();
    let bound = city.bind(&everyone(), &SearchRequest { limit: 3, ..request("") });
    let by_id = Likeness { id: Some("1".into()), ..Likeness::default() };
    let page = city.indexes.similar_blocking(&bound, &by_id, &Cancel::default()).expect("answers");
    assert!(page.hits.iter().all(|h| h.id != "1"));
    let by_text = Likeness { text: Some("他诈骗了他人钱款，数额巨大".into()), ..Likeness::default() };
    let page = city.indexes.similar_blocking(&bound, &by_text, &Cancel::default()).expect("answers");
    assert_eq!(page.hits[0].id, "3");
    assert!(page.hits[0].explanation.iter().any(|r| r.kind == "text" && r.text.contains("诈骗")), "{page:?}");
    let unknown = Likeness { id: Some("no".into()), ..Likeness::default() };
    assert!(city.indexes.similar_blocking(&bound, &unknown, &Cancel::default()).is_err());
    let fields = [("court".to_string(), text("上海市长宁区人民法院"))].into();
    let by_field = Likeness { fields, ..Likeness::default() };
    let page = city.indexes.similar_blocking(&bound, &by_field, &Cancel::default()).expect("answers");
    assert_eq!(page.hits.iter().map(|h| h.id.as_str()).collect::<Vec<_>>(), ["4"]);
}

#[test]
fn suggestions_and_corrections() {
    let city = city();
    let suggest = |query: &str| -> Vec<String> {
        let bound = city.bind(&everyone(), &SearchRequest { limit: 10, ..request(query) });
        city.indexes.suggest_blocking(&bound).expect("answers").into_iter().map(|s| s.text).collect()
    };
    assert!(suggest("盗窃 上海市徐").contains(&"上海市徐汇区人民法院".to_string()));
    assert!(suggest("醉").contains(&"醉酒驾驶".to_string()));
    assert!(suggest("诈").contains(&"诈骗罪".to_string()));
    assert!(
        suggest("zhapian").contains(&"诈骗罪".to_string()) || suggest("zhapianzui").contains(&"诈骗罪".to_string())
    );
    assert!(suggest("").is_empty() && suggest("没有这个").is_empty());
    let correct = |query: &str| {
        city.indexes.correct_blocking(&city.bind(&everyone(), &request(query))).expect("answers").map(|c| c.query)
    };
    assert_eq!(correct("电动车 盗切").as_deref(), Some("电动车 盗窃"));
    assert_eq!(correct("weixianjiashi").as_deref(), Some("危险驾驶"));
    assert_eq!(correct("危险驾使").as_deref(), Some("危险驾驶"));
    assert_eq!(correct("盗窃"), None);
    assert_eq!(correct("孔雀开屏"), None);
}

#[test]
fn explanations_are_for_full_view_only() {
    let city = city();
    let explain = SearchRequest { explain: true, ..request("盗窃") };
    let hit = |role| city.ask(&person(role, "310000"), &explain).hits.remove(0);
    assert!(!hit("all").explanation.is_empty());
    assert!(hit("plain").explanation.is_empty());
}

/// Half of the texts hidden, with a word of their own. `None`: without it.
fn with_secret(secret: bool, texts: usize) -> City {
    let city = City::new();
    let mut dice = Dice(5);
    let rows: Vec<_> = (0..texts)
        .map(|i| {
            let mine = i % 2 == 0;
            let body = judgment(&mut dice, 40);
            let body = if !mine && secret { format!("{body}机关指控孔雀蓝盗窃。孔雀蓝") } else { body };
            let court = if !mine && secret { "孔雀蓝法庭" } else { "徐汇法院" };
            let district = if mine { "310104" } else { "310105" };
            row(
                &format!("j{i}"),
                &[
                    ("text", text(&body)),
                    ("court", text(court)),
                    ("district", text(district)),
                    ("case_number", text(&format!("{court}{i}号"))),
                ],
            )
        })
        .collect();
    city.put("judgment", &rows, None);
    city
}

#[test]
fn no_path_tells_a_planted_secret() {
    let (with, without) = (with_secret(true, 200), with_secret(false, 200));
    let who = person("plain", "310104");
    for query in [
        "孔雀蓝",
        "\"孔雀蓝\"",
        "+孔雀*蓝",
        "法院:孔雀蓝",
        "法院:*孔雀*",
        "孔雀蓝 /s 盗窃",
        "诉称:孔雀蓝",
        "孔雀兰",
        "kongquelan",
        "-孔雀蓝",
        "孔",
        "全文:孔雀蓝 或 盗窃",
        "孔雀蓝法庭",
        "案号:孔雀蓝",
    ] {
        let ask = |city: &City| {
            let histogram = Some(Histogram { field: Some("decided".into()), step: Step::Year });
            let facets = vec!["court".into(), "charge".into()];
            let request = SearchRequest { histogram, facets, limit: 20, explain: true, ..request(query) };
            let bound = city.bind(&who, &request);
            let mut page = serde_json::to_value(city.ask(&who, &request)).expect("serialises");
            page.as_object_mut().map(|o| o.remove("as_of"));
            let suggest = city.indexes.suggest_blocking(&bound).expect("answers");
            let correct = city.indexes.correct_blocking(&bound).expect("answers");
            let like =
                Likeness { text: Some(format!("{query}，被告人孔雀蓝盗窃电动车")), ..Likeness::default() };
            let everything = city.bind(&who, &SearchRequest { limit: 10, ..self::request("") });
            let similar = city.indexes.similar_blocking(&everything, &like, &Cancel::default()).expect("answers");
            let hidden = Likeness { id: Some("j1".into()), ..Likeness::default() };
            assert!(city.indexes.similar_blocking(&everything, &hidden, &Cancel::default()).is_err());
            let hits: Vec<_> = similar.hits.iter().map(|h| (h.id.clone(), h.score.to_bits())).collect();
            format!("{page} {suggest:?} {correct:?} {hits:?} {:?}", similar.recognised)
        };
        assert_eq!(ask(&with), ask(&without), "{query}");
    }
    let parsed = with.indexes.parse_query(with.catalogue.dataset("judgment").expect("is there"), "孔雀兰");
    assert_eq!(parsed.chips.len(), 1);
}

/// Medians of paired requests, hidden hits beside none, differ by less than a part in twenty. Long;
/// run with `--ignored`, on a machine that does nothing else.
#[test]
#[ignore = "1,000 pairs of timed requests"]
fn hidden_hits_take_as_long_as_none() {
    let (city, who) = (with_secret(true, 4_000), person("plain", "310104"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let time = |query: &str| -> Duration {
        let bound = city.bind(&who, &request(query));
        let start = Instant::now();
        let page = runtime.block_on(city.indexes.search(&bound, &Cancel::default())).expect("answers");
        assert_eq!(page.total, 0);
        start.elapsed()
    };
    let (mut hidden, mut none): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for i in 0..1_050 {
        let (a, b) = if i % 2 == 0 {
            (time("\"孔雀蓝\""), time("\"雀孔蓝\""))
        } else {
            let b = time("\"雀孔蓝\"");
            (time("\"孔雀蓝\""), b)
        };
        if i >= 50 {
            hidden.push(a);
            none.push(b);
        }
    }
    hidden.sort_unstable();
    none.sort_unstable();
    let (a, b) = (hidden[500].as_secs_f64(), none[500].as_secs_f64());
    println!("hidden {:.1} us, none {:.1} us, {:+.1} %", a * 1e6, b * 1e6, (a / b - 1.0) * 100.0);
    assert!((a / b - 1.0).abs() < 0.05);
}
