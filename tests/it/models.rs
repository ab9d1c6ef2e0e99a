//! The model run engine from outside: runs, idempotence, stop, schedule, alerts, recovery; and the
//! results as datasets.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zonglan_tests::client::Client;
use zonglan_tests::{Options, Server};

/// Waits for the end of a run.
fn ended(client: &Client, model: &str, id: &Value) -> Result<Value> {
    let since = Instant::now();
    loop {
        let run = client.get(&format!("/api/v1/models/{model}/runs/{id}"))?.ok()?;
        if !matches!(run["state"].as_str(), Some("queued" | "running")) {
            return Ok(run);
        }
        ensure!(since.elapsed() < Duration::from_secs(120), "{model} does not end: {run}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a model to its end.
pub fn run(client: &Client, model: &str, params: &Value) -> Result<Value> {
    let started = client.post(&format!("/api/v1/models/{model}/runs"), &json!({"params": params}))?.ok()?;
    let run = ended(client, model, &started["id"])?;
    ensure!(run["state"] == "done", "{run}");
    Ok(run)
}

fn health(client: &Client, model: &str) -> Result<Value> {
    let list = client.get("/api/v1/models/health")?.ok()?;
    let found = list.as_array().into_iter().flatten().find(|m| m["name"] == model).cloned();
    found.with_context(|| format!("{model} is not in {list}"))
}

// modules: L057, L058, L059, L060, L061, L062
#[test]
fn models_start_stop_and_tell_how_they_are() -> Result<()> {
    let server = Server::start(Options::demo(3000))?;
    let admin = server.client("admin")?;
    // The demo city comes with the results of every model.
    ensure!(health(&admin, "security-index")?["health"] == "ok");
    let first = run(&admin, "security-index", &json!({}))?;
    ensure!(first["inputs"]["incident"].as_u64() > Some(0) && first["written"].as_u64() > Some(100), "{first}");
    ensure!(first["version"].is_string() && first["cause"] == "schedule", "{first}");
    // The same rules, parameters and data are the same run; nothing is computed again.
    let again = admin.post("/api/v1/models/security-index/runs", &json!({}))?;
    ensure!(again.status == 200, "{}", again.text());
    let again = again.json()?;
    ensure!(again["id"] == first["id"] && again["created"] == false, "{again}");
    ensure!(health(&admin, "security-index")?["health"] == "ok");

    // New data makes the results stale; the next run writes what changed and no more.
    let csv = "id,reported_at,category,subcategory,district,street,status\nX1,2026-01-05T08:00:00+08:00,criminal,theft,310104,310104003,closed\n";
    let loaded = admin.upload("/api/v1/import/incident", "one.csv", csv.into())?.ok()?;
    ensure!(loaded["loaded"] == 1, "{loaded}");
    let stale = health(&admin, "security-index")?;
    ensure!(stale["health"] == "stale" && stale["reason"].as_str().is_some_and(|r| r.contains("incident")), "{stale}");
    let second = run(&admin, "security-index", &json!({}))?;
    ensure!(second["id"] != first["id"], "{second}");
    ensure!(second["written"].as_u64() < first["written"].as_u64(), "{second} after {first}");

    // What failed is told to those who act on jobs, and health says so.
    let wrong = json!({"params": {"base_from": "yesterday", "base_to": "today"}});
    let wrong = admin.post("/api/v1/models/security-index/runs", &wrong)?.ok()?;
    let failed = ended(&admin, "security-index", &wrong["id"])?;
    ensure!(
        failed["state"] == "failed" && failed["error"].as_str().is_some_and(|e| e.contains("yesterday")),
        "{failed}"
    );
    ensure!(health(&admin, "security-index")?["health"] == "failing");
    let over = admin.send("DELETE", &format!("/api/v1/models/security-index/runs/{}", first["id"]), &[], Vec::new())?;
    ensure!(over.status == 400 && over.json()?["code"] == "models.over", "{}", over.text());

    let schedule = json!({"enabled": false, "every_minutes": 60});
    let put = |client: &Client, body: &Value| {
        let headers = [("content-type", "application/json")];
        client.send("PUT", "/api/v1/models/security-index/schedule", &headers, serde_json::to_vec(body)?)
    };
    ensure!(put(&admin, &schedule)?.status == 204);
    ensure!(put(&admin, &json!({"enabled": true, "every_minutes": 0}))?.status == 400);
    let after = health(&admin, "security-index")?;
    ensure!(after["enabled"] == false && after["every_minutes"] == 60, "{after}");

    // Runs are rows too, with their share of failures.
    let counted = json!({"dataset": "model_run", "measures": ["count", "failed", "warnings"], "by": ["model"], "where": {"model": {"eq": "security-index"}}});
    let rows = admin.query(&counted)?;
    ensure!(rows["rows"][0][0] == "security-index" && rows["rows"][0][1] == 3 && rows["rows"][0][2] == 1, "{rows}");

    // Others see how models are, and change nothing.
    let analyst = server.client("analyst-310104")?;
    ensure!(put(&analyst, &schedule)?.status == 403);
    ensure!(analyst.post("/api/v1/models/security-index/runs", &json!({}))?.status == 403);
    ensure!(analyst.get("/api/v1/models/none/runs")?.status == 404);
    let warnings = analyst.get("/api/v1/models/deadline/warnings")?.ok()?;
    let theirs = warnings.as_array().context("a list")?;
    ensure!(theirs.iter().all(|w| w["region"].as_str().is_some_and(|r| r.starts_with("310104"))), "{warnings}");
    let all = server.client("leader")?.get("/api/v1/models/deadline/warnings")?.ok()?;
    let one = all[0].clone();
    ensure!(one["state"] == "open", "{all}");
    // A judged warning counts as benefit.
    let judge = |body: &Value| {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/v1/models/deadline/warnings/{}", one["id"]);
        server.client("leader")?.send("PATCH", &path, &headers, serde_json::to_vec(body)?)
    };
    ensure!(judge(&json!({"state": "dismissed"}))?.status == 400, "a dismissal says why");
    ensure!(judge(&json!({"state": "confirmed", "note": "属实"}))?.json()?["judged_by"] == "leader");
    ensure!(health(&admin, "deadline")?["confirmed"] == 1);
    Ok(())
}

#[test]
fn a_killed_run_goes_on_after_the_restart() -> Result<()> {
    let mut server = Server::start(Options::demo(3000))?;
    let admin = server.client("admin")?;
    let csv = "id,reported_at,category,subcategory,district,street,status\nX1,2026-01-05T08:00:00+08:00,criminal,theft,310104,310104003,closed\n";
    admin.upload("/api/v1/import/incident", "one.csv", csv.into())?.ok()?;
    let started = admin.post("/api/v1/models/security-index/runs", &json!({}))?.ok()?;
    ensure!(started["created"] == true, "{started}");
    // The first parts are written by then, the last are not.
    std::thread::sleep(Duration::from_millis(150));
    server.kill()?;
    let server = server.restart()?;
    let admin = server.client("admin")?;
    let run = ended(&admin, "security-index", &started["id"])?;
    ensure!(run["state"] == "done" && run["attempts"].as_i64() >= Some(1), "{run}");
    // Every level and kind of period is there, whichever parts were written before the end.
    let kinds = json!({"dataset": "security_index_score", "measures": ["count"], "by": ["level", "period"]});
    ensure!(admin.query(&kinds)?["rows"].as_array().map(Vec::len) == Some(9), "{run}");
    let list = admin.get("/api/v1/models/security-index/runs")?.ok()?;
    ensure!(list.as_array().map(Vec::len) == Some(2), "{list}");
    Ok(())
}

// modules: L084
#[test]
fn scores_can_be_asked_like_any_dataset_and_add_up() -> Result<()> {
    let server = Server::start(Options::demo(3000))?;
    let leader = server.client("leader")?;
    let rows = leader.query(&json!({"dataset": "security_index_score",
        "rows": ["part", "dimension", "score", "weight", "contribution", "missing", "grade", "version"],
        "where": {"and": [{"region": {"eq": "310115"}}, {"period": {"eq": "month"}}, {"latest": {"eq": true}}]}, "limit": 100}))?;
    let rows = rows["rows"].as_array().context("rows")?;
    let of = |part: &'static str| rows.iter().filter(move |r| r[0] == part);
    let number = |v: &Value| v.as_f64().unwrap_or_default();
    let index = of("index").next().context("the index of the district")?;
    // Contributions add up to the index, weights to one.
    let points: f64 = of("indicator").map(|r| number(&r[4])).sum();
    let weights: f64 = of("indicator").map(|r| number(&r[3])).sum();
    ensure!((points - number(&index[2])).abs() < 0.02, "{points} and {index}");
    ensure!((weights - 1.0).abs() < 0.002, "{weights}");
    ensure!(of("dimension").count() == 2 && of("indicator").count() == 12 && index[7].is_string(), "{rows:?}");
    // One district sees its own scores only.
    let one = server.client("leader-310104")?;
    let seen = one.query(&json!({"dataset": "security_index_score", "measures": ["count"], "by": ["region"]}))?;
    let regions = seen["rows"].as_array().context("rows")?;
    ensure!(
        !regions.is_empty() && regions.iter().all(|r| r[0].as_str().is_some_and(|c| c.starts_with("310104"))),
        "{seen}"
    );
    // All kinds of periods at all levels.
    let kinds = leader.query(
        &json!({"dataset": "security_index_score", "measures": ["security_index"], "by": ["level", "period"]}),
    )?;
    ensure!(kinds["rows"].as_array().map(Vec::len) == Some(9), "{kinds}");
    Ok(())
}

const CASES: &str = "id,title,kind,charge,filed_on,district,agency,procuratorate,court\n\
    T1,甲盗窃案,criminal,264,2026-01-02,310104,上海市公安局徐汇分局,上海市徐汇区人民检察院,上海市徐汇区人民法院\n\
    T2,乙诈骗案,criminal,266,2026-01-02,310104,上海市公安局徐汇分局,上海市徐汇区人民检察院,上海市徐汇区人民法院\n\
    T3,丙盗窃案,criminal,264,2026-01-02,310115,上海市公安局浦东分局,上海市浦东新区人民检察院,上海市浦东新区人民法院\n";

/// Events of three cases: each rule has something to say of one of them.
const EVENTS: &str = "id,case_id,stage,occurred_on,charge,district,recipient,target_on\n\
    E01,T1,detained,2026-01-05,264,310104,,\n\
    E02,T1,arrest_requested,2026-01-07,264,310104,,\n\
    E03,T1,arrested,2026-01-10,264,310104,,\n\
    E04,T1,execution_receipt_served,2026-01-19,264,310104,,\n\
    E05,T2,transferred,2026-01-08,266,310104,,\n\
    E06,T2,under_review,2026-01-09,266,310104,,\n\
    E07,T2,returned_for_investigation,2026-01-29,266,310104,,\n\
    E08,T2,resubmitted,2026-02-25,266,310104,,\n\
    E09,T2,under_review,2026-02-25,266,310104,,\n\
    E10,T2,indicted,2026-03-02,266,310104,,\n\
    E11,T3,indicted,2026-01-12,264,310115,,\n\
    E12,T3,accepted,2026-01-14,264,310115,,\n\
    E13,T3,hearing_date,2026-01-15,264,310115,,2026-02-03\n\
    E14,T3,indictment_copy_served,2026-01-20,264,310115,被告人,\n\
    E15,T3,indictment_copy_served,2026-01-28,264,310115,辩护人,\n\
    E16,T3,summons_served,2026-01-29,264,310115,被告人,\n\
    E17,T3,heard,2026-02-03,264,310115,,\n\
    E18,T3,effective,2026-02-20,264,310115,,\n\
    E19,T3,community_correction,2026-02-20,264,310115,,\n\
    E20,T3,correction_documents_received,2026-02-27,264,310115,,\n\
    E21,T3,arrest_refused,2026-01-04,264,310115,,\n\
    E22,T3,executed,2026-02-27,264,310115,,\n";

/// State and due day of a case's limits by rule, as of the run's day.
fn limits(client: &Client, case: &str) -> Result<Vec<(String, String, String)>> {
    let query = json!({"dataset": "deadline_state", "rows": ["rule", "state", "due_on"], "where": {"case_id": {"eq": case}}, "limit": 100});
    let rows = client.query(&query)?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let list = rows["rows"].as_array().context("rows")?;
    Ok(list.iter().map(|r| (text(&r[0]), text(&r[1]), text(&r[2]))).collect())
}

// modules: L201, L202, L203, L204, L205, L206, L207, L208, L209, L210
#[test]
fn deadlines_are_judged_case_by_case_and_become_tasks() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let admin = server.client("admin")?;
    admin.upload("/api/v1/import/case", "cases.csv", CASES.into())?.ok()?;
    let loaded = admin.upload("/api/v1/import/case_event", "events.csv", EVENTS.into())?.ok()?;
    ensure!(loaded["loaded"] == 22, "{loaded}");
    let day = |day: &str| json!({"as_of": day});
    let first = run(&admin, "deadline", &day("2026-03-05"))?;
    ensure!(first["evaluated"].as_u64() > Some(3) && first["written"].as_u64() > Some(20), "{first}");

    let legal = server.client("legal")?;
    let has = |case: &str, rule: &str, state: &str, due: &str| -> Result<()> {
        let found = limits(&legal, case)?;
        let wanted = (rule.to_string(), state.to_string(), due.to_string());
        ensure!(found.contains(&wanted), "{case}: {wanted:?} is not among {found:?}");
        Ok(())
    };
    has("T1", "R1", "due_soon", "2026-03-10")?; // two months of custody
    has("T1", "R1a", "closed_in_time", "2026-01-08")?;
    has("T1", "R2", "closed_late", "2026-01-13")?; // three days, served on the ninth
    has("T1", "R4", "closed_in_time", "2026-01-14")?;
    has("T1", "R6", "overdue", "2026-03-03")?; // no request seven days before the end of custody
    has("T2", "R3", "closed_in_time", "2026-02-28")?;
    has("T2", "R5", "closed_in_time", "2026-03-25")?; // the second review
    has("T2", "R7", "running", "2026-03-09")?;
    has("T3", "R2b", "overdue", "2026-01-07")?;
    has("T3", "R7", "closed_in_time", "2026-01-19")?;
    has("T3", "R8", "closed_late", "2026-01-24")?; // the defender ten days before the hearing
    has("T3", "R9", "closed_in_time", "2026-03-02")?;
    has("T3", "R10", "overdue", "2026-03-04")?;

    // A new event: its case is judged again, the others are not.
    let event = "id,case_id,stage,occurred_on,charge,district\nE23,T1,transferred,2026-03-05,264,310104\n";
    admin.upload("/api/v1/import/case_event", "one.csv", event.into())?.ok()?;
    let second = run(&admin, "deadline", &day("2026-03-05"))?;
    ensure!(second["evaluated"] == 1, "{second}");
    has("T1", "R1", "closed_in_time", "2026-03-10")?;
    // Nothing new and everything judged again: nothing is written.
    let full = run(&admin, "deadline", &json!({"as_of": "2026-03-05", "full": true}))?;
    ensure!(full["evaluated"].as_u64() > Some(3) && full["written"] == 0 && full["removed"] == 0, "{full}");
    // Time passes: only cases whose time has come are judged.
    let later = run(&admin, "deadline", &day("2026-03-10"))?;
    ensure!(later["evaluated"].as_u64() < first["evaluated"].as_u64(), "{later}");
    has("T2", "R7", "overdue", "2026-03-09")?;

    // The warnings are tasks of the unit's district; another district sees none of them.
    let tasks = legal.get("/api/v1/tasks?kind=deadline&limit=200")?.ok()?;
    ensure!(tasks.to_string().contains("T2"), "{tasks}");
    let warnings = server.client("leader-310104")?.get("/api/v1/models/deadline/warnings?state=open")?.ok()?;
    let list = warnings.as_array().context("a list")?;
    ensure!(list.iter().any(|w| w["title"].as_str().is_some_and(|t| t.contains("T2"))), "{warnings}");
    ensure!(list.iter().all(|w| w["region"].as_str().is_some_and(|r| r.starts_with("310104"))), "{warnings}");

    // The same limits with their articles, as the case file draws them.
    let timeline = legal.get("/api/v1/cases/case/T3/timeline?as_of=2026-03-10")?.ok()?;
    let limits = timeline["limits"].as_array().context("limits")?;
    let service = limits.iter().find(|l| l["rule"] == "R8" && l["limit"] == "起诉书副本送达").context("R8")?;
    ensure!(service["due"] == "2026-01-24" && service["state"] == "超期已办", "{service}");
    ensure!(service["explanation"].to_string().contains("第187条"), "{service}");
    ensure!(timeline["events"].as_array().map(Vec::len) == Some(12), "{timeline}");
    ensure!(server.client("leader-310104")?.get("/api/v1/cases/case/T3/timeline")?.status == 404);
    Ok(())
}

const PENALTIES: &str = "id,found_at,category,behaviour,procedure,party_kind,organisation,organisation_code,district,unit_name,status,filed_on,penalised_on,closed_at\n\
    M1,2026-01-05T09:00:00+08:00,environment,construction_waste,ordinary,organisation,甲运输公司,91310104TEST00001X,310104,徐家汇中队,penalised,2026-01-06,2026-05-06,\n\
    M2,2026-05-04T09:00:00+08:00,environment,construction_waste,ordinary,organisation,甲运输公司,91310104TEST00001X,310104,徐家汇中队,closed,2026-05-05,2026-05-20,2026-05-22T10:00:00+08:00\n\
    M3,2026-05-04T09:00:00+08:00,environment,construction_waste,ordinary,individual,,,310104,徐家汇中队,investigating,2026-05-05,,\n\
    M4,2026-05-04T09:00:00+08:00,appearance,posters,simple,individual,,,310104,徐家汇中队,closed,2026-05-04,2026-05-04,2026-05-04T12:00:00+08:00\n";

const REQUESTS: &str = "id,received_at,type,topic,status,district,unit_name,closed_at\n\
    Q1,2026-05-18T09:00:00+08:00,enquiry,noise,handling,310104,徐汇区环境局,\n\
    Q2,2026-05-18T09:00:00+08:00,complaint,noise,handling,310104,徐汇区环境局,\n\
    Q3,2026-05-18T09:00:00+08:00,complaint,gas,closed,310104,徐汇区燃气公司,2026-05-20T09:00:00+08:00\n\
    Q4,2026-05-18T09:00:00+08:00,complaint,illegal_building,handling,310115,浦东新区城管,\n";

/// Limits of a matter: what, state, due day.
fn matter(client: &Client, id: &str) -> Result<Vec<(String, String, String)>> {
    let query = json!({"dataset": "matter_deadline", "rows": ["limit", "state", "due_on"], "where": {"case_id": {"eq": id}}, "limit": 100});
    let rows = client.query(&query)?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let list = rows["rows"].as_array().context("rows")?;
    Ok(list.iter().map(|r| (text(&r[0]), text(&r[1]), text(&r[2]))).collect())
}

// modules: C059
#[test]
fn matters_have_deadlines_too_and_a_done_task_confirms_its_warning() -> Result<()> {
    let server = Server::start(Options::demo(200))?;
    let admin = server.client("admin")?;
    admin.upload("/api/v1/import/enforcement_case", "m.csv", PENALTIES.into())?.ok()?;
    admin.upload("/api/v1/import/request", "q.csv", REQUESTS.into())?.ok()?;
    // Registers: dates that their actions set are the events.
    let clerk = server.client("clerk-310104")?;
    let asked = json!({"fields": {"subject": "某地块征收文件", "applicant_kind": "citizen", "applicant_name": "张三", "channel": "online",
        "received_on": "2026-05-06", "description": "征收决定全文", "district": "310104"}});
    let asked = clerk.post("/api/v1/records/information_request", &asked)?.ok()?;
    let asked = asked["id"].as_str().context("an id")?.to_string();
    let leader = server.client("leader")?;
    let since = Instant::now();
    let there = json!({"dataset": "information_request", "measures": ["count"], "where": {"id": {"eq": asked}}});
    while leader.number(&there)? != 1.0 {
        ensure!(since.elapsed() < Duration::from_secs(5), "the application is not in the columns");
        std::thread::sleep(Duration::from_millis(50));
    }
    let day = |day: &str| json!({"as_of": day});
    let first = run(&admin, "matter-deadline", &day("2026-06-04"))?;
    let has = |id: &str, limit: &str, state: &str, due: &str| -> Result<()> {
        let found = matter(&leader, id)?;
        ensure!(found.contains(&(limit.into(), state.into(), due.into())), "{id} {limit} {state} {due}: {found:?}");
        Ok(())
    };
    has("M1", "办案超期", "closed_late", "2026-04-06")?; // ninety days of filing, never rolled
    has("M2", "办案超期", "closed_in_time", "2026-08-03")?;
    has("M2", "结案超期", "closed_in_time", "2026-06-10")?; // placeholder: fifteen working days of the decision
    has("M1", "结案超期", "overdue", "2026-05-26")?;
    has("M3", "办案超期", "running", "2026-08-03")?;
    ensure!(matter(&leader, "M4")?.is_empty(), "the simple procedure has no such periods");
    has("91310104TEST00001X", "吊证预警", "reached", "2026-05-20")?;
    has(&asked, "答复", "overdue", "2026-06-02")?; // twenty working days
    // A hazard is due on the day that the order names.
    let hazard = json!({"dataset": "inspection", "rows": ["id", "due_on"], "limit": 1,
        "where": {"and": [{"hazards": {"gt": 0}}, {"due_on": {"is_null": false}}, {"inspected_on": {"lt": "2026-05-01"}}]}});
    let hazard = leader.query(&hazard)?["rows"][0].clone();
    let found = matter(&leader, hazard[0].as_str().context("an inspection")?)?;
    ensure!(found.len() == 1 && found[0].0 == "整改" && hazard[1] == json!(found[0].2), "{found:?} for {hazard}");
    has("Q1", "办结", "overdue", "2026-05-25")?; // by class: enquiries, five working days
    has("Q2", "办结", "running", "2026-06-08")?; // others, fifteen
    has("Q3", "办结", "closed_late", "2026-05-19")?; // urgent
    has("Q4", "办结", "running", "2026-06-30")?; // complex: thirty

    // A new row: its case is read and judged again, the others are not even read.
    let more = "id,received_at,type,topic,status,district,unit_name,closed_at\nQ1,2026-05-18T09:00:00+08:00,enquiry,noise,closed,310104,徐汇区环境局,2026-06-04T08:00:00+08:00\n";
    let read_before = first["read"].as_u64().context("rows read")?;
    let warned = |state: &str| -> Result<Vec<Value>> {
        let list = leader.get(&format!("/api/v1/models/matter-deadline/warnings?state={state}"))?.ok()?;
        Ok(list.as_array().cloned().unwrap_or_default())
    };
    let of =
        |list: &[Value], id: &str| list.iter().find(|w| w["key"].as_str().is_some_and(|k| k.contains(id))).cloned();
    ensure!(of(&warned("open")?, "|Q1|").is_some(), "{:?}", warned("open")?);
    admin.upload("/api/v1/import/request", "q1.csv", more.into())?.ok()?;
    let second = run(&admin, "matter-deadline", &day("2026-06-04"))?;
    ensure!(second["evaluated"] == 1 && second["read"].as_u64() < Some(read_before / 10), "{second} after {first}");
    has("Q1", "办结", "closed_late", "2026-05-25")?;
    ensure!(of(&warned("closed")?, "|Q1|").is_some(), "the warning of what is done is over");

    // The unit's task: acknowledged, explained, escalated, done; done says that the warning was right.
    let mine = |record: &str| -> Result<Option<Value>> {
        let list = clerk.get(&format!("/api/v1/tasks?kind=deadline&limit=100&record={record}"))?.ok()?;
        Ok(list["tasks"].as_array().context("tasks")?.iter().find(|t| t["record"] == record).cloned())
    };
    ensure!(mine("Q1")?.is_none(), "the task ended with its warning");
    let task = mine(&asked)?.context("a task for the application")?;
    ensure!(task["link"] == json!(format!("/records/information_request/{asked}")), "{task}");
    let step = |action: &str, body: Value| {
        clerk.post(&format!("/api/v1/tasks/{}/actions/{action}", task["id"].as_str().unwrap_or_default()), &body)
    };
    step("acknowledge", json!({}))?.ok()?;
    step("explain", json!({"note": "第三方尚未答复，已催促"}))?.ok()?;
    let escalated = step("escalate", json!({}))?.ok()?;
    ensure!(escalated["escalated"] == true && escalated["explanation"] == "第三方尚未答复，已催促", "{escalated}");
    step("complete", json!({"note": "已答复"}))?.ok()?;
    let judged = of(&warned("confirmed")?, &asked).context("confirmed by the task")?;
    ensure!(judged["judged_by"] == "clerk-310104" && judged["note"] == "已答复", "{judged}");
    ensure!(health(&admin, "matter-deadline")?["confirmed"] == 1);
    // And a warning that was none takes its task away.
    let licence = of(&warned("open")?, "91310104TEST00001X").context("a warning before the licence is revoked")?;
    let body = serde_json::to_vec(&json!({"state": "dismissed", "note": "其中一次已撤销"}))?;
    let path = format!("/api/v1/models/matter-deadline/warnings/{}", licence["id"]);
    ensure!(leader.send("PATCH", &path, &[("content-type", "application/json")], body)?.status == 200);
    ensure!(mine("91310104TEST00001X")?.is_none(), "no task for what was no warning");

    // The limits of a row with their articles, as pages draw them; another district sees none of it.
    let timeline = leader.get("/api/v1/cases/enforcement_case/M1/timeline?as_of=2026-06-04")?.ok()?;
    ensure!(timeline["limits"].to_string().contains("行政处罚法(2021)第60条"), "{timeline}");
    ensure!(timeline["events"].as_array().map(Vec::len) == Some(3), "{timeline}");
    ensure!(clerk.get("/api/v1/cases/enforcement_case/M1/timeline")?.status != 200, "clerks do not read the cases");
    ensure!(server.client("legal")?.query(&json!({"dataset": "matter_deadline", "measures": ["count"]})).is_err());
    Ok(())
}
