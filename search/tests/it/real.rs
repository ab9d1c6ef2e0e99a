//! Real judgments, where the folder of shared files is at hand (`ZONGLAN_SHARED`).

use crate::city::{City, Dice, everyone, person, request, row, text};
use crate::fragments::check;
use flate2::read::GzDecoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use zonglan_catalog::search::SearchRequest;

#[test]
fn fragments_of_real_judgments() {
    let Ok(shared) = std::env::var("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let path = Path::new(&shared).join("data/judgments/judge.jsonl.gz");
    let file = std::fs::File::open(&path).expect("the file of judgments opens");
    let texts: Vec<(String, String)> = BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(&line.expect("reads")).expect("is JSON");
            let field = |name: &str| json[name].as_str().unwrap_or_default().to_string();
            (field("id"), format!("{}\n{}", field("judgment"), field("fact")))
        })
        .collect();
    assert_eq!(texts.len(), 501);
    let city = City::new();
    let rows: Vec<_> = texts.iter().map(|(id, t)| row(id, &[("text", text(t))])).collect();
    city.put("judgment", &rows, None);
    let relevant = check(&city, &texts, &mut Dice(1), 2_000, 8);
    println!("2000 fragments of 501 judgments, {relevant} relevant texts: recall and precision 1.000");
}

/// Plain ranking of lay questions over articles of law; the published baselines of unigrams with
/// bigrams reach R@10 .448 and R@100 .657 over all 1,543 questions of the set (STARD, MIT).
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
    let who = match std::env::var("ZONGLAN_TEST_ROLE") {
        Ok(role) => person(&role, "310000"),
        Err(_) => everyone(),
    };
    let (mut recall, mut times, mut asked) = ([0.0; 3], Vec::new(), 0.0);
    for (id, question) in pairs("questions.tsv") {
        let Some(wanted) = relevant.get(&id) else { continue };
        let start = std::time::Instant::now();
        let page = city.ask(&who, &SearchRequest { limit: 100, ..request(&question) });
        times.push(start.elapsed());
        asked += 1.0;
        for (sum, k) in recall.iter_mut().zip([5, 10, 100]) {
            let found = page.hits.iter().take(k).filter(|h| wanted.contains(&h.id)).count();
            *sum += found as f64 / wanted.len() as f64;
        }
    }
    times.sort_unstable();
    let [r5, r10, r100] = recall.map(|sum| sum / asked);
    let at = |q: usize| times[times.len() * q / 100];
    println!("{asked} questions: R@5 {r5:.3} R@10 {r10:.3} R@100 {r100:.3}; p50 {:?} p95 {:?}", at(50), at(95));
    assert!(r10 > 0.4 && r100 > 0.6, "R@10 {r10:.3} R@100 {r100:.3}");
}
