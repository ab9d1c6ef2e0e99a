//! Lists: filters, order with nulls, pages by offset and by cursor, counts.

use super::*;
use serde_json::json;
use zonglan_catalog::Filter;
use zonglan_catalog::batch::Batch;
use zonglan_catalog::value::Value;

async fn stocked() -> Rig {
    let rig = rig().await;
    for i in 0..30i64 {
        let mut input = hotel(&format!("单位{i:02}"), if i % 2 == 0 { "310104" } else { "310105" });
        if i % 5 != 0 {
            input.insert("rooms".into(), json!(i % 7));
        }
        rig.store.records.create(&city(), "premises", &input, None).await.expect("created");
    }
    rig
}

fn names(page: &RecordPage) -> Vec<String> {
    page.records.iter().map(|r| r.fields["name"].to_text()).collect()
}

#[tokio::test]
async fn cursors_and_offsets_walk_the_same_way() {
    let rig = stocked().await;
    for sort in [
        vec![],
        vec!["rooms".to_string()],
        vec!["-rooms".into()],
        vec!["-updated_at".into()],
        vec!["name".into()],
        vec!["id".into()],
    ] {
        let all = ListRequest { sort: sort.clone(), limit: Some(100), ..ListRequest::default() };
        let all = names(&rig.store.records.list(&city(), "premises", &all).await.expect("all"));
        assert_eq!(all.len(), 30);
        let (mut by_cursor, mut by_offset, mut cursor) = (Vec::new(), Vec::new(), None);
        for page in 0..5 {
            let request = ListRequest { sort: sort.clone(), limit: Some(7), cursor, ..ListRequest::default() };
            let found = rig.store.records.list(&city(), "premises", &request).await.expect("by cursor");
            by_cursor.extend(names(&found));
            cursor = found.cursor;
            let request =
                ListRequest { sort: sort.clone(), limit: Some(7), offset: page * 7, ..ListRequest::default() };
            by_offset.extend(names(&rig.store.records.list(&city(), "premises", &request).await.expect("by offset")));
        }
        assert_eq!(by_cursor, all, "{sort:?}");
        assert_eq!(by_offset, all, "{sort:?}");
    }
    let request = ListRequest { sort: vec!["rooms".into()], limit: Some(100), ..ListRequest::default() };
    let page = rig.store.records.list(&city(), "premises", &request).await.expect("sorted");
    assert!(page.records.last().is_some_and(|r| !r.fields.contains_key("rooms")), "nulls come last");
}

#[tokio::test]
async fn filters_mean_the_same_in_sql_and_in_memory() {
    let rig = stocked().await;
    let all = ListRequest { limit: Some(100), ..ListRequest::default() };
    let all = rig.store.records.list(&city(), "premises", &all).await.expect("all").records;
    for json in [
        json!({"rooms": {"gte": 3}}),
        json!({"not": {"rooms": {"gte": 3}}}),
        json!({"rooms": {"is_null": true}}),
        json!({"or": [{"rooms": {"in": [1, 2]}}, {"not": {"district": {"eq": "310104"}}}]}),
        json!({"not": {"and": [{"rooms": {"lt": 5}}, {"district": {"prefix": "310104"}}]}}),
        json!({"district": {"prefix": "3101"}, "rooms": {"ne": 4}}),
        json!({"name": {"text": "位1"}}),
        json!({"kind": {"not_in": ["bath"]}}),
    ] {
        let filter = Filter::from_json(&json).expect("filter");
        let request = ListRequest { filter: filter.clone(), limit: Some(100), ..ListRequest::default() };
        let page = rig.store.records.list(&city(), "premises", &request).await.expect("filtered");
        let expect: Vec<_> = all.iter().filter(|r| matches(&filter, &r.fields)).map(|r| &r.id).collect();
        assert_eq!(page.records.iter().map(|r| &r.id).collect::<Vec<_>>(), expect, "{json}");
        assert_eq!(page.total, Total::Exact(expect.len() as u64));
    }
    let request = ListRequest { q: Some("单位07".into()), ..ListRequest::default() };
    assert_eq!(names(&rig.store.records.list(&city(), "premises", &request).await.expect("words")), ["单位07"]);
    let bad = ListRequest { sort: vec!["colour".into()], ..ListRequest::default() };
    assert!(rig.store.records.list(&city(), "premises", &bad).await.expect_err("unknown").hint.is_some());
}

#[tokio::test]
async fn states_are_apart_and_counts_stop() {
    let rig = rig().await;
    let catalogue = rig.store.catalogue();
    let dataset = catalogue.dataset("premises").expect("dataset");
    let mut batch = Batch::new(dataset);
    for i in 0..10_500 {
        let row = [
            ("id", format!("X{i}")),
            ("name", format!("单位{i}")),
            ("kind", "bath".into()),
            ("district", "310104".into()),
        ];
        batch.push_fields(dataset, &row.into_iter().map(|(k, v)| (k.to_string(), Value::Text(v))).collect());
    }
    rig.store.records.load(dataset, &batch, "demo", "test").await.expect("loaded");
    rig.store.records.act(&city(), "premises", "X7", None, "close", ActionInput::default()).await.expect("closed");
    let page = |state| ListRequest { state, limit: Some(1), ..ListRequest::default() };
    let records = &rig.store.records;
    assert_eq!(
        records.list(&city(), "premises", &page(StateFilter::Open)).await.expect("open").total,
        Total::AtLeast(10_000)
    );
    let closed = records.list(&city(), "premises", &page(StateFilter::Closed)).await.expect("closed");
    assert_eq!((closed.total, closed.records[0].id.as_str()), (Total::Exact(1), "X7"));
}
