//! Real judgments, where the folder of shared files is at hand (`ZONGLAN_SHARED`).

use crate::city::{City, Dice, everyone, request, row, text};
use crate::fragments::{check, check_one};
use flate2::read::GzDecoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use zonglan_catalog::search::SearchRequest;
use zonglan_search::analyze::normalise;
use zonglan_search::eval::{Figures, Judged, folds, paired_p};

/// Judgments (501) and the paragraphs of reading questions (1,000): random fragments of all of
/// them, every charge and every law by its name.
#[test]
fn fragments_of_real_judgments() {
    let Ok(shared) = std::env::var("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let data = Path::new(&shared).join("data");
    let unpacked = |path: &str| {
        let file = std::fs::File::open(data.join(path)).expect("the file opens");
        BufReader::new(GzDecoder::new(file))
    };
    let lines = |path: &str| -> Vec<serde_json::Value> {
        let json = |line: std::io::Result<String>| serde_json::from_str(&line.expect("reads")).expect("is JSON");
        unpacked(path).lines().map(json).collect()
    };
    let field = |json: &serde_json::Value, name: &str| json[name].as_str().unwrap_or_default().to_string();
    let mut texts: Vec<(String, String)> = lines("judgments/judge.jsonl.gz")
        .iter()
        .map(|json| (field(json, "id"), format!("{}\n{}", field(json, "judgment"), field(json, "fact"))))
        .collect();
    assert_eq!(texts.len(), 501);
    let reading: serde_json::Value = serde_json::from_reader(unpacked("judgments/cjrc_dev.json.gz")).expect("is JSON");
    let paragraphs = reading["data"].as_array().expect("a list").iter().flat_map(|d| d["paragraphs"].as_array());
    texts.extend(paragraphs.flatten().enumerate().map(|(n, p)| (format!("cjrc{n}"), field(p, "context"))));
    assert_eq!(texts.len(), 1_501);
    let city = City::new();
    let rows: Vec<_> = texts.iter().map(|(id, t)| row(id, &[("text", text(t))])).collect();
    city.put("judgment", &rows, None);
    let relevant = check(&city, &texts, &mut Dice(1), 2_000, 8);
    println!("2000 fragments of 1,501 texts, {relevant} relevant ones: recall and precision 1.000");

    let normal: Vec<(&str, String)> =
        texts.iter().map(|(id, t)| (id.as_str(), normalise(t).into_iter().collect())).collect();
    let crimes = std::fs::read_to_string(data.join("codes/crimes.csv")).expect("reads");
    let charges: BTreeSet<String> = crimes
        .lines()
        .skip(1)
        .filter_map(|l| l.split(',').nth(1))
        .filter(|c| !c.is_empty())
        .map(String::from)
        .collect();
    let articles = lines("statutes/articles.jsonl.gz");
    let law = |json: &serde_json::Value| field(json, "name").split('第').next().unwrap_or_default().to_string();
    let laws: BTreeSet<String> = articles.iter().map(law).filter(|l| !l.is_empty()).collect();
    for (name, list) in [("charges", charges), ("names of laws", laws)] {
        let relevant: usize = list.iter().map(|term| check_one(&city, &normal, term)).sum();
        println!("{} {name}, {relevant} relevant texts: recall and precision 1.000", list.len());
    }
}

/// Lay questions over articles of law (STARD, MIT): five-fold cross-validated, better than BM25.
#[test]
fn questions_find_their_articles() {
    let Ok(shared) = std::env::var("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let folder = Path::new(&shared).join("data/statutes");
    let articles = std::fs::File::open(folder.join("articles.jsonl.gz")).expect("the articles open");
    let rows: Vec<_> = BufReader::new(GzDecoder::new(articles))
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(&line.expect("reads")).expect("is JSON");
            let field = |name: &str| text(json[name].as_str().unwrap_or_default());
            row(json["id"].as_str().expect("has an id"), &[("case_number", field("name")), ("text", field("text"))])
        })
        .collect();
    let city = City::new();
    city.put("judgment", &rows, None);
    city.indexes.close();
    let pairs = |file: &str| -> Vec<(String, String)> {
        let text = std::fs::read_to_string(folder.join(file)).expect("reads");
        text.lines().skip(1).filter_map(|l| l.split_once('\t')).map(|(a, b)| (a.into(), b.into())).collect()
    };
    let mut relevant: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (question, article) in pairs("relevant.tsv") {
        relevant.entry(question).or_default().insert(article);
    }
    let judged: Vec<Judged> = pairs("questions.tsv")
        .into_iter()
        .filter_map(|(id, question)| Some(Judged { question, relevant: relevant.remove(&id)? }))
        .collect();
    let bind = |question: &str| city.bind(&everyone(), &SearchRequest { limit: 100, ..request(question) });
    let mut times = Vec::new();
    let mut figures = |judged: &[&Judged]| -> Vec<Figures> {
        let one = |j: &&Judged| {
            let start = std::time::Instant::now();
            let ranked = city.indexes.ranked(&bind(&j.question)).expect("ranks");
            times.push(start.elapsed());
            Figures::of(&ranked, &j.relevant)
        };
        judged.iter().map(one).collect()
    };
    let plainly = |j: &Judged| city.indexes.ranked_plainly(&bind(&j.question), "text").expect("ranks");
    let plain: Vec<Figures> = judged.iter().map(|j| Figures::of(&plainly(j), &j.relevant)).collect();
    let rules = figures(&judged.iter().collect::<Vec<_>>());
    println!("BM25 {:.4?}, rules {:.4?}", Figures::mean(&plain), Figures::mean(&rules));
    let fold = folds(judged.len(), 5);
    let mut learned = vec![Figures::default(); judged.len()];
    for k in 0..5 {
        let of = |inside: bool| -> Vec<(usize, &Judged)> {
            judged.iter().enumerate().filter(|(i, _)| (fold[*i] == k) == inside).collect()
        };
        let train: Vec<&Judged> = of(false).into_iter().map(|(_, j)| j).collect();
        let file = city.indexes.learn_from(&bind(""), &train).expect("learns");
        println!("fold {k}: {} pairs from {} questions", file.pairs(), file.questions);
        city.indexes.set_learned("judgment", Some(file));
        let (places, asked): (Vec<usize>, Vec<&Judged>) = of(true).into_iter().unzip();
        for (i, f) in places.into_iter().zip(figures(&asked)) {
            learned[i] = f;
        }
    }
    println!("{:?}", Figures::NAMES);
    for (name, list) in [("BM25", &plain), ("rules", &rules), ("learned", &learned)] {
        let p =
            |m: usize| paired_p(&list.iter().zip(&plain).map(|(a, b)| a.list()[m] - b.list()[m]).collect::<Vec<_>>());
        println!("{name}: {:.4?}, p of R@10 {:.4}, of R@100 {:.4}", Figures::mean(list), p(1), p(3));
    }
    times.sort_unstable();
    println!("p50 {:?}, p95 {:?}", times[times.len() / 2], times[times.len() * 95 / 100]);
    let (mean, base) = (Figures::mean(&learned), Figures::mean(&plain));
    assert!(mean[1] >= 0.46 && mean[3] >= 0.67, "{mean:?}");
    assert!(mean.iter().zip(&base).all(|(a, b)| a > b), "{mean:?} {base:?}");
    let differences: Vec<f64> = learned.iter().zip(&plain).map(|(a, b)| a.r10 - b.r10).collect();
    assert!(paired_p(&differences) < 0.01);
}

/// Speed over 147,283 articles (laws_with_facets.jsonl.xz, unpacked by `xz`); prints figures. Run
/// with `--ignored` on a machine that does nothing else.
#[test]
#[ignore = "indexes 60 MB"]
fn speed_over_articles() {
    let Ok(shared) = std::env::var("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let path = Path::new(&shared).join("data/statutes/laws_with_facets.jsonl.xz");
    let unpacked = std::process::Command::new("xz").arg("-dc").arg(path).output().expect("xz runs").stdout;
    let mut bytes = 0;
    let rows: Vec<_> = unpacked
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(&line.expect("reads")).expect("is JSON");
            let field = |name: &str| json[name].as_str().unwrap_or_default().to_string();
            bytes += field("text").len();
            let date = field("date").parse().map_or(zonglan_catalog::Value::Null, zonglan_catalog::Value::Date);
            let title = format!("{}{}", field("law"), field("article"));
            row(
                &field("id"),
                &[
                    ("case_number", text(&title)),
                    ("court", text(&field("category"))),
                    ("decided", date),
                    ("text", text(&field("text"))),
                ],
            )
        })
        .collect();
    let city = City::with(zonglan_search::Options::default());
    let start = std::time::Instant::now();
    rows.chunks(5_000).for_each(|part| {
        city.put("judgment", part, None);
    });
    let mb = bytes as f64 / 1e6;
    println!("{} articles, {mb:.1} MB of text: {:.1} MB/s", rows.len(), mb / start.elapsed().as_secs_f64());
    city.indexes.close();
    let time = |name: &str, work: &dyn Fn(usize)| {
        let mut times: Vec<_> = (0..200)
            .map(|i| {
                let start = std::time::Instant::now();
                work(i);
                start.elapsed()
            })
            .skip(20)
            .collect();
        times.sort_unstable();
        println!("{name}: p50 {:?}, p95 {:?}", times[90], times[171]);
    };
    let words = ["人民政府", "处罚", "申请", "合同", "土地", "环境保护", "安全生产", "罚款", "登记", "监督"];
    time("boolean, phrase, facets, histogram, highlights", &|i| {
        let query =
            format!("\"{}\" 且 ({} 或 {}) 非 听证", words[i % 10], words[(i + 3) % 10], words[(i + i / 10) % 10]);
        let histogram = Some(zonglan_catalog::Histogram { field: None, step: zonglan_catalog::Step::Year });
        let request = SearchRequest { facets: vec!["court".into()], histogram, limit: 20, ..request(&query) };
        city.ask(&everyone(), &request);
    });
    time("same sentence", &|i| {
        let query = format!("{} /s {}", words[i % 10], words[(i + 3) % 10]);
        city.ask(&everyone(), &SearchRequest { limit: 20, ..request(&query) });
    });
    time("similar", &|i| {
        let bound = city.bind(&everyone(), &SearchRequest { limit: 20, ..request("") });
        let like = zonglan_catalog::Likeness { id: Some(format!("L{}", i * 700)), ..Default::default() };
        city.indexes.similar_blocking(&bound, &like, &Default::default()).expect("answers");
    });
    time("suggestions", &|i| {
        let typed = ["上海", "中华", "土地", "安全", "民法", "行政", "环境", "道路", "合同", "个人"][i % 10];
        let bound = city.bind(&everyone(), &SearchRequest { limit: 10, ..request(typed) });
        city.indexes.suggest_blocking(&bound).expect("answers");
    });
}
