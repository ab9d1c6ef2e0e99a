//! Create, change, close: checks, conflicts, rights, history, and what the follower reads.

use super::*;
use serde_json::json;
use zonglan_catalog::batch::Batch;
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::traits::ChangeSource;
use zonglan_catalog::value::Value;

#[tokio::test]
async fn a_record_lives() {
    let rig = rig().await;
    let records = &rig.store.records;
    let mut input = hotel("和平饭店", "310104");
    input.extend(fields(
        json!({"area": "1205.50", "opened": "2025-01-31", "checked_at": "2026-01-01 08:00", "place": [121.48, 31.23], "rooms": 120, "owner_phone": "13800001234"}),
    ));
    let made = records.create(&city(), "premises", &input, Some("首次登记")).await.expect("created");
    assert_eq!((made.id.as_str(), made.version, made.state), ("PR2026000001", 1, State::Open));
    assert_eq!(made.fields["area"], Value::Decimal { units: 120_550, scale: 2 });
    assert_eq!(made.fields["checked_at"], Value::Instant(1_767_225_600_000));
    assert_eq!(made.fields["place"], Value::Point(121.48, 31.23));

    rig.clock.add(1_000);
    let changed = fields(json!({"name": "和平饭店北楼", "rooms": null}));
    let second = records.patch(&city(), "premises", &made.id, 1, &changed, Some("更名")).await.expect("changed");
    assert_eq!((second.version, second.fields.get("rooms")), (2, None));
    let read = records.get(&city(), "premises", &made.id).await.expect("there");
    assert_eq!(read.fields, second.fields);
    assert_eq!((read.created_at, read.updated_at), (START, START + 1_000));
    // Nothing changes, nothing is written.
    assert_eq!(records.patch(&city(), "premises", &made.id, 2, &changed, None).await.expect("same").version, 2);

    let error =
        records.patch(&city(), "premises", &made.id, 1, &fields(json!({"rooms": 7})), None).await.expect_err("stale");
    assert_eq!((error.class, conflict_version(&error)), (ErrorClass::Conflict, Some(2)));

    let closed = records
        .act(
            &city(),
            "premises",
            &made.id,
            Some(2),
            "close",
            ActionInput { reason: Some("停业".into()), ..Default::default() },
        )
        .await
        .expect("closed");
    assert_eq!((closed.version, closed.state), (3, State::Closed));
    let error = records.patch(&city(), "premises", &made.id, 3, &changed, None).await.expect_err("closed");
    assert_eq!(error.code, "records.closed");
    records.act(&city(), "premises", &made.id, None, "restore", ActionInput::default()).await.expect("restored");
    let error = records
        .act(&city(), "premises", &made.id, None, "restore", ActionInput::default())
        .await
        .expect_err("open already");
    assert_eq!(error.class, ErrorClass::Conflict);

    let history = records.history(&city(), "premises", &made.id).await.expect("history");
    let actions: Vec<_> = history.iter().map(|h| (h.version, h.action.as_str(), h.changes.len())).collect();
    assert_eq!(actions, [(1, "create", 10), (2, "change", 2), (3, "close", 0), (4, "restore", 0)]);
    assert_eq!(history[1].reason.as_deref(), Some("更名"));
    let name = history[1].changes.iter().find(|c| c.field == "name").expect("name changed");
    assert_eq!((&name.before, &name.after), (&Value::Text("和平饭店".into()), &Value::Text("和平饭店北楼".into())));
}

#[tokio::test]
async fn every_wrong_field_is_told_at_once() {
    let rig = rig().await;
    let records = &rig.store.records;
    let mut first = hotel("甲", "310104");
    first.insert("licence".into(), json!("L-1"));
    records.create(&city(), "premises", &first, None).await.expect("first");
    let bad = fields(
        json!({"name": "很".repeat(21), "kind": "palace", "licence": "L-1", "rooms": 9000, "area": "1.234", "opened": "明天", "colour": "红"}),
    );
    let error = records.create(&city(), "premises", &bad, None).await.expect_err("bad");
    let told: Vec<_> = error.fields.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(
        told,
        ["name", "kind", "district", "licence", "rooms", "area", "opened", "colour"],
        "{:?}",
        error.fields
    );
    assert_eq!(error.code, "records.invalid");
    assert!(error.fields[0].message.contains("最多 20 个字"), "{:?}", error.fields[0]);
    // By label, and a district by its code or name.
    let good = fields(json!({"name": "乙", "kind": "旅馆", "district": "徐汇区"}));
    let made = records.create(&city(), "premises", &good, None).await.expect("good");
    assert_eq!(made.fields["kind"], Value::Text("hotel".into()));
    // Unique among open records only.
    let again = fields(json!({"licence": "L-1"}));
    assert_eq!(
        records.patch(&city(), "premises", &made.id, 1, &again, None).await.expect_err("taken").fields[0].field,
        "licence"
    );
    records
        .act(&city(), "premises", "PR2026000001", None, "close", ActionInput { reason: None, ..Default::default() })
        .await
        .expect("closed");
    records.patch(&city(), "premises", &made.id, 1, &again, None).await.expect("free now");
    let error = records
        .act(&city(), "premises", "PR2026000001", None, "restore", ActionInput::default())
        .await
        .expect_err("taken now");
    assert_eq!(error.fields[0].field, "licence");
    let error =
        records.patch(&city(), "premises", &made.id, 2, &fields(json!({"id": "X"})), None).await.expect_err("key");
    assert_eq!(error.fields[0].message, "编号不能修改");
}

#[tokio::test]
async fn regions_bind_reads_and_writes() {
    let rig = rig().await;
    let records = &rig.store.records;
    let (xuhui, changning) = (person("clerk", "310104"), person("clerk", "310105"));
    let own = records.create(&xuhui, "premises", &hotel("徐汇一", "310104"), None).await.expect("own district");
    let error = records.create(&xuhui, "premises", &hotel("长宁一", "310105"), None).await.expect_err("other district");
    assert_eq!((error.class, error.fields[0].field.as_str()), (ErrorClass::Forbidden, "district"));

    // Another district's record is not there: neither to read nor to change, close or look back on.
    assert_eq!(records.get(&changning, "premises", &own.id).await.expect_err("hidden").class, ErrorClass::NotFound);
    let patch = fields(json!({"name": "占为己有", "district": "310105"}));
    assert_eq!(
        records.patch(&changning, "premises", &own.id, 1, &patch, None).await.expect_err("hidden").class,
        ErrorClass::NotFound
    );
    let close = records
        .act(&changning, "premises", &own.id, None, "close", ActionInput { reason: None, ..Default::default() })
        .await;
    assert_eq!(close.expect_err("hidden").class, ErrorClass::NotFound);
    assert_eq!(records.history(&changning, "premises", &own.id).await.expect_err("hidden").class, ErrorClass::NotFound);
    // Nor may one's own be moved away.
    let away = records.patch(&xuhui, "premises", &own.id, 1, &fields(json!({"district": "310105"})), None).await;
    assert_eq!(away.expect_err("moved away").class, ErrorClass::Forbidden);
    let page = records.list(&changning, "premises", &ListRequest::default()).await.expect("list");
    assert_eq!((page.records.len(), page.total), (0, Total::Exact(0)));

    // Children hang on parents that the writer may see.
    let check = |id: &str| fields(json!({"premises_id": id, "district": "310105", "result": "合格"}));
    let error = records.create(&changning, "inspection", &check(&own.id), None).await.expect_err("parent hidden");
    assert_eq!(error.fields[0].field, "premises_id");
    let mut visit = check(&own.id);
    visit.insert("district".into(), json!("310104"));
    assert_eq!(records.create(&xuhui, "inspection", &visit, None).await.expect("child").id, "JC0001");
    let page =
        records.children(&xuhui, "premises", &own.id, "inspection", &ListRequest::default()).await.expect("children");
    assert_eq!(page.total, Total::Exact(1));

    let leader = person("leader", "310000");
    assert_eq!(records.get(&leader, "premises", &own.id).await.expect_err("figures only").code, "policy.rows");
    assert_eq!(
        records.create(&leader, "premises", &hotel("x", "310104"), None).await.expect_err("no").class,
        ErrorClass::Forbidden
    );
}

#[tokio::test]
async fn masked_fields_stay_masked_and_survive_a_form() {
    let rig = rig().await;
    let records = &rig.store.records;
    let mut input = hotel("和平饭店", "310104");
    input.insert("owner_phone".into(), json!("13800001234"));
    let made = records.create(&city(), "premises", &input, None).await.expect("created");
    let desk = person("desk", "310104");
    let seen = records.get(&desk, "premises", &made.id).await.expect("seen");
    assert_eq!(seen.fields["owner_phone"], Value::Text("138****1234".into()));
    assert_eq!(seen.masked, ["owner_phone"]);
    // The form sends the masked value back with the change.
    let form = fields(json!({"name": "改名", "owner_phone": "138****1234"}));
    records.patch(&desk, "premises", &made.id, 1, &form, None).await.expect("saved");
    let clear = records.get(&city(), "premises", &made.id).await.expect("clear");
    assert_eq!(clear.fields["owner_phone"], Value::Text("13800001234".into()));
    let history = records.history(&desk, "premises", &made.id).await.expect("history");
    let phone = history[0].changes.iter().find(|c| c.field == "owner_phone").expect("logged");
    assert_eq!(phone.after, Value::Text("138****1234".into()));
    // No filter and no sort by what is masked.
    let filter = zonglan_catalog::Filter::eq("owner_phone", "13800001234");
    assert!(records.list(&desk, "premises", &ListRequest { filter, ..ListRequest::default() }).await.is_err());
    let sort = vec!["owner_phone".into()];
    assert!(records.list(&desk, "premises", &ListRequest { sort, ..ListRequest::default() }).await.is_err());
    // Reads in clear leave a trace, masked ones do not.
    rig.store.log.flush_audit().await;
    let audit = rig.store.log.audit_page(None, 100).await.expect("audit");
    let reads: Vec<_> =
        audit.iter().filter(|a| a.action == "read").map(|a| (a.actor.as_str(), a.record.as_deref())).collect();
    assert_eq!(reads, [("clerk-310000", Some(made.id.as_str()))]);
}

#[tokio::test]
async fn sealed_changes_reach_the_follower() {
    let rig = rig().await;
    let mut sealed = rig.store.log.sealed();
    let made = rig.add("和平饭店", "310104").await;
    tokio::time::timeout(std::time::Duration::from_secs(2), sealed.wait_for(|n| *n > 0))
        .await
        .expect("woken")
        .expect("open");
    let blocks = rig.store.log.blocks_after(0, 10).await.expect("blocks");
    let change = &blocks[0].changes[0];
    assert_eq!((blocks[0].number, change.id.as_str(), change.version), (1, made.id.as_str(), 1));
    assert_eq!(change.after.as_ref().expect("fields")["name"], Value::Text("和平饭店".into()));
    rig.store
        .records
        .act(&city(), "premises", &made.id, None, "close", ActionInput { reason: None, ..Default::default() })
        .await
        .expect("closed");
    sealed.wait_for(|n| *n > 1).await.expect("open");
    let blocks = rig.store.log.blocks_after(1, 10).await.expect("blocks");
    assert_eq!(blocks[0].changes[0].after, None, "closed records leave the columns");
    assert!(rig.store.log.blocks_after(2, 10).await.expect("none").is_empty());
}

#[tokio::test]
async fn loading_twice_changes_nothing() {
    let rig = rig().await;
    let catalogue = rig.store.catalogue();
    let dataset = catalogue.dataset("premises").expect("dataset");
    let mut batch = Batch::new(dataset);
    for i in 0..4_500 {
        let district = if i % 3 == 0 { "310105" } else { "310104" };
        let row = [
            ("id", format!("PR2026{:06}", i + 1)),
            ("name", format!("单位{i}")),
            ("kind", "hotel".into()),
            ("district", district.into()),
        ];
        batch.push_fields(dataset, &row.into_iter().map(|(k, v)| (k.to_string(), Value::Text(v))).collect());
    }
    let first = rig.store.records.load(dataset, &batch, "demo", "演示数据").await.expect("loaded");
    assert_eq!((first.inserted, first.updated, first.unchanged), (4_500, 0, 0));
    let again = rig.store.records.load(dataset, &batch, "demo", "演示数据").await.expect("again");
    assert_eq!((again.inserted, again.updated, again.unchanged), (0, 0, 4_500));
    // Numbers go on behind those that came along.
    assert_eq!(rig.add("新", "310104").await.id, "PR2026004501");
    // An import takes rows of the importer's district only, over what is there, too.
    let mut mine = Batch::new(dataset);
    for (id, district) in [("PR2026000002", "310104"), ("PR2026000001", "310104"), ("N-1", "310105"), ("N-2", "310104")]
    {
        let row = [("id", id), ("name", "改"), ("kind", "hotel"), ("district", district)];
        mine.push_fields(dataset, &row.into_iter().map(|(k, v)| (k.to_string(), Value::Text(v.into()))).collect());
    }
    let loaded = rig.store.records.import(&person("clerk", "310104"), "premises", &mine, None).await.expect("imported");
    assert_eq!((loaded.inserted, loaded.updated), (1, 1), "{loaded:?}");
    let rejected: Vec<_> = loaded.rejected.iter().map(|(row, _)| *row).collect();
    assert_eq!(rejected, [1, 2]);
}

#[tokio::test]
async fn a_new_field_needs_no_restart() {
    let rig = rig().await;
    let made = rig.add("和平饭店", "310104").await;
    let more = PREMISES.replace("\"owner_phone\"]", "\"owner_phone\", \"stars\"]")
        + "[[field]]\nname = \"stars\"\nlabel = { zh = \"星级\", en = \"Stars\" }\ntype = \"int\"\n";
    // Fields come before measures in the file; TOML does not mind.
    rig.store.set_catalogue(catalogue_with(&more)).await.expect("in force");
    rig.store.records.patch(&city(), "premises", &made.id, 1, &fields(json!({"stars": 5})), None).await.expect("saved");
    let filter = zonglan_catalog::Filter::from_json(&json!({"stars": {"gte": 4}})).expect("filter");
    let request = ListRequest { filter, sort: vec!["-stars".into()], ..ListRequest::default() };
    let page = rig.store.records.list(&city(), "premises", &request).await.expect("list");
    assert_eq!(page.total, Total::Exact(1));
}

#[tokio::test]
async fn a_failed_write_takes_only_itself_back() {
    let rig = rig().await;
    let db = rig.store.db.clone();
    let failing = |i: usize| {
        let db = db.clone();
        async move {
            db.write(move |txn| {
                Box::pin(async move {
                    let at = txn.now();
                    txn.audit(&AuditEntry { at, actor: "x", action: "test", ..AuditEntry::default() });
                    if i.is_multiple_of(2) { Err(zonglan_catalog::Error::user("test", "no")) } else { Ok(i) }
                })
            })
            .await
        }
    };
    let results = futures_util::future::join_all((0..200).map(failing)).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 100);
    assert_eq!(rig.store.log.audit_page(None, 1_000).await.expect("rows").len(), 100);
    rig.store.close().await;
    let report = verify(rig.dir.path(), Some(&rig.store.catalogue()), &[]).await.expect("runs");
    assert!(report.ok(), "{report}");
}
