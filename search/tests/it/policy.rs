//! Nobody finds, counts or infers a row that is not theirs.

use crate::city::{City, Dice, everyone, judgment, person, request, row, text};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::{SearchPage, Value};

/// Half of the rows lie in the other district and hold secrets.
fn planted(secrets: bool) -> City {
    let city = City::new();
    let mut dice = Dice(3);
    let mut rows = Vec::new();
    for i in 0..120 {
        let mine = i % 2 == 0;
        let body = judgment(&mut dice, 60);
        if !mine && !secrets {
            continue;
        }
        let body = if mine { body } else { format!("{body}绝密代号孔雀蓝，被告人盗窃盗窃盗窃") };
        rows.push(row(
            &format!("j{i}"),
            &[
                ("text", text(&body)),
                ("court", text(if mine { "徐汇区法院" } else { "孔雀蓝法庭" })),
                ("charge", text(if mine { "theft" } else { "fraud" })),
                ("district", text(if mine { "310104" } else { "310105" })),
                ("months", Value::Int(i)),
            ],
        ));
    }
    city.put("judgment", &rows, None);
    city
}

fn json(page: &SearchPage) -> String {
    let mut page = serde_json::to_value(page).expect("serialises");
    page.as_object_mut().map(|o| o.remove("as_of"));
    page.to_string()
}

#[test]
fn answers_are_the_same_as_if_hidden_rows_did_not_exist() {
    let (with, without) = (planted(true), planted(false));
    let who = person("plain", "310104");
    let mut dice = Dice(11);
    let queries = [
        "",
        "孔雀蓝",
        "\"孔雀蓝\"",
        "被告人 盗窃",
        "盗窃 -孔雀蓝",
        "本院认为被告人张三在徐汇区盗窃电动车如何判决处理",
        "孔雀蓝法庭",
        "绝",
    ];
    for query in queries.iter().map(|q| q.to_string()).chain((0..40).map(|_| judgment(&mut dice, 3))) {
        for (filters, sort) in [
            (Filter::True, None),
            (Filter::Not(Box::new(Filter::eq("court", "徐汇区法院"))), Some("-months")),
            (
                Filter::Or(vec![
                    Filter::eq("district", "310105"),
                    Filter::Text { field: "text".into(), query: "盗窃".into() },
                ]),
                Some("court"),
            ),
        ] {
            let request = SearchRequest {
                filters,
                facets: vec!["court".into(), "charge".into(), "district".into(), "months".into()],
                sort: sort.map(String::from),
                limit: 30,
                ..request(&query)
            };
            let (a, b) = (with.ask(&who, &request), without.ask(&who, &request));
            assert!(json(&a) == json(&b), "{query}");
            // Nothing hidden is named anywhere; the query itself is not repeated.
            assert!(!json(&a).contains("孔雀蓝"), "{query}");
            assert!(!a.facets["court"].iter().any(|f| f.value.contains("孔雀蓝")));
        }
    }
    assert_eq!(with.ask(&everyone(), &request("\"孔雀蓝\"")).total, 60);
    assert_eq!(with.ask(&person("plain", "310105"), &request("\"孔雀蓝\"")).total, 60);
    // By id too.
    let bound = with.bind(&who, &request("孔雀蓝"));
    assert!(with.indexes.get(&bound, "j1").expect("answers").is_none());
    assert!(with.indexes.get(&bound, "j0").expect("answers").is_some());
}

#[test]
fn masked_fields_are_neither_found_nor_shown() {
    let city = City::new();
    let long = format!("线人代号孔雀蓝{}", "备注".repeat(40));
    city.put(
        "judgment",
        &[row(
            "a",
            &[
                ("text", text("公开的正文")),
                ("note", text(&long)),
                ("suspect", text("欧阳锋")),
                ("phone", text("13800001234")),
                ("district", text("310104")),
            ],
        )],
        None,
    );
    let plain = person("plain", "310000");
    for query in ["\"孔雀蓝\"", "孔雀蓝", "欧阳锋", "\"欧阳锋\""] {
        assert_eq!(city.ask(&plain, &request(query)).total, 0, "{query}");
        assert_eq!(city.ask(&everyone(), &request(query)).total, 1, "{query}");
    }
    let page = city.ask(&plain, &request("正文"));
    let shown = json(&page);
    assert!(!shown.contains("孔雀蓝") && !shown.contains("阳锋") && !shown.contains("1380000"), "{shown}");
    assert_eq!(page.hits[0].fields["suspect"], text("欧**"));
    let document = city.indexes.get(&city.bind(&plain, &request("孔雀蓝")), "a").expect("answers").expect("is there");
    assert!(!format!("{document:?}").contains("孔雀蓝") && !format!("{document:?}").contains("阳锋"));
    let document =
        city.indexes.get(&city.bind(&everyone(), &request("孔雀蓝 正文")), "a").expect("answers").expect("is there");
    assert_eq!(document.marks["note"], [(4, 7)]);
    assert_eq!(document.marks["text"], [(3, 5)]);
    // A personal field that is not searched is not in the index at all.
    assert!(!document.fields.contains_key("phone"));
    // Nor can a masked field be sorted by.
    let bound = city.bind(&plain, &SearchRequest { sort: Some("suspect".into()), ..request("正文") });
    assert!(city.indexes.search_blocking(&bound, &Default::default()).is_err());
}
