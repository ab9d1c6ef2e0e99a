//! Every declared register through its whole life over HTTP, driven by the declarations: entered,
//! read, changed, moved through every stage by the right people and refused to others, closed and
//! restored; with its history, its figures, its place in search and its board.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zonglan_catalog::dataset::{Lifecycle, Source};
use zonglan_catalog::register::{ActionRule, Register};
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Catalogue, Dataset, Field, FieldType, Filter};
use zonglan_fixtures::{DemoCity, DemoOptions};
use zonglan_tests::client::Reply;
use zonglan_tests::{Client, Options, Server};

const DISTRICT: &str = "310104";
const CLERK: &str = "clerk-310104";
const LEADER: &str = "leader-310104";
/// Reads the same rows and may do nothing to them.
const READER: &str = "analyst-310104";
const STRANGER: &str = "clerk-310105";

/// A city with users of two districts, and records for every register.
struct World {
    catalogue: Catalogue,
    made: DemoCity,
    users: BTreeMap<&'static str, Client>,
    next: AtomicU64,
    seen: Mutex<Vec<(String, String, String)>>,
}

impl World {
    fn client(&self, user: &str) -> &Client {
        self.users.get(user).unwrap_or_else(|| panic!("nobody signed in as {user}"))
    }

    /// Every field of a new record as JSON; users are those of this test.
    fn whole(&self, dataset: &Dataset) -> Result<Map<String, Value>> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let fields = self.made.record(dataset, n, DISTRICT).context("the district")?;
        let mut out = Map::new();
        for (name, value) in fields {
            let user = dataset.field(&name).and_then(|f| f.format) == Some(zonglan_catalog::register::Format::User);
            out.insert(name, if user { json!(CLERK) } else { serde_json::to_value(value)? });
        }
        Ok(out)
    }
}

/// What a form may send: the fields that no action sets.
fn entered(dataset: &Dataset, whole: &Map<String, Value>) -> Map<String, Value> {
    let by_hand = |name: &String| dataset.field(name).is_some_and(|f| !f.by_action);
    whole.iter().filter(|(name, _)| by_hand(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn named(reply: &Reply) -> Result<BTreeSet<String>> {
    let problem = reply.json()?;
    let errors = problem["errors"].as_array().with_context(|| format!("no errors at fields: {problem}"))?;
    Ok(errors.iter().filter_map(|e| e["field"].as_str()).map(str::to_string).collect())
}

fn refused(reply: &Reply, what: &str) -> Result<()> {
    ensure!(reply.status == 403, "{what}: {} {}", reply.status, reply.text());
    Ok(())
}

fn done(reply: Reply, what: &str) -> Result<Value> {
    ensure!(reply.status < 300, "{what}: {} {}", reply.status, reply.text());
    reply.json()
}

/// One register under test, and where its records are made.
struct Book<'w> {
    world: &'w World,
    dataset: Arc<Dataset>,
    /// Of a child: the parent's records.
    base: String,
}

impl Book<'_> {
    fn register(&self) -> &Register {
        self.dataset.register.as_ref().unwrap_or_else(|| panic!("{} is a register", self.dataset.name))
    }

    fn path(&self, id: &str) -> String {
        format!("/api/v1/records/{}/{id}", self.dataset.name)
    }

    fn post(&self, user: &str, fields: &Map<String, Value>) -> Result<Reply> {
        self.world.client(user).post(&self.base, &json!({"reason": "登记测试", "fields": fields}))
    }

    fn create(&self, whole: &Map<String, Value>) -> Result<Value> {
        done(self.post(CLERK, &entered(&self.dataset, whole))?, "create")
    }

    fn get(&self, user: &str, id: &str) -> Result<Reply> {
        self.world.client(user).get(&self.path(id))
    }

    fn is_child(&self) -> bool {
        self.dataset.parent.is_some()
    }

    /// Filled in for a child by its parent.
    fn given(&self, field: &Field) -> bool {
        let parent = self.dataset.parent.as_ref();
        parent.is_some_and(|p| p.field == field.name || field.kind == FieldType::Region)
    }

    fn wrong_input(&self) -> Result<()> {
        let mut wrong = Map::from_iter([("no_such_field".to_string(), json!(1))]);
        let mut expected = BTreeSet::from(["no_such_field".to_string()]);
        for field in &self.dataset.field {
            if self.dataset.key.contains(&field.name) || field.by_action || self.given(field) {
                continue;
            }
            let bad = match field.kind {
                FieldType::Code => Some(json!("no-such-code")),
                FieldType::Date | FieldType::Instant => Some(json!("someday")),
                FieldType::Int | FieldType::Decimal => field.max.map(|max| json!(max + 1.0)),
                FieldType::Bool => Some(json!("perhaps")),
                FieldType::Text => field.max_length.map(|max| json!("长".repeat(max + 1))),
                _ => None,
            };
            // Every second field that can be wrong is; the required ones of the others are missing.
            if let Some(bad) = bad.filter(|_| expected.len() % 2 == 0) {
                wrong.insert(field.name.clone(), bad);
                expected.insert(field.name.clone());
            } else if field.required {
                expected.insert(field.name.clone());
            }
        }
        let reply = self.post(CLERK, &wrong)?;
        ensure!(reply.status == 400 || reply.status == 422, "wrong input: {} {}", reply.status, reply.text());
        let found = named(&reply)?;
        let lacking: Vec<_> = expected.difference(&found).collect();
        ensure!(lacking.is_empty(), "no error at {lacking:?}: {}", reply.text());
        Ok(())
    }

    /// Entered, read, changed, closed, restored.
    fn life(&self) -> Result<String> {
        let world = self.world;
        let whole = world.whole(&self.dataset)?;
        let fields = entered(&self.dataset, &whole);
        for user in [LEADER, "auditor"] {
            refused(&self.post(user, &fields)?, &format!("create as {user}")).or_else(|error| match user {
                "auditor" if self.is_child() => Ok(()),
                _ => Err(error),
            })?;
        }
        if !self.dataset.shared && !self.is_child() {
            refused(&self.post(STRANGER, &fields)?, "create in another district")?;
        }
        let created = self.create(&whole)?;
        let id = created["id"].as_str().context("id")?.to_string();
        let read = done(self.get(CLERK, &id)?, "get")?;
        let masked: BTreeSet<&str> =
            read["masked"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, value) in &fields {
            let definition = self.dataset.field(name).context("a field")?;
            let shown = &read["fields"][name];
            let personal = definition.sensitivity >= zonglan_catalog::dataset::Sensitivity::Personal;
            ensure!(masked.contains(name.as_str()) == personal, "{name}: masked is {}", !personal);
            let same = match (shown.as_f64(), value.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-6,
                _ => shown == value || definition.kind == FieldType::Instant && !shown.is_null(),
            };
            ensure!(personal || same, "{name} was {value} and is {shown}");
        }
        let hidden = self.get(STRANGER, &id)?;
        ensure!(self.dataset.shared || hidden.status == 404, "another district reads it: {}", hidden.status);
        ensure!(self.get("auditor", &id)?.status == 403, "an auditor reads rows");

        let version = read["version"].as_u64().context("version")?;
        if let Some((name, value)) = self.another(&whole) {
            let change = json!({"reason": "变更测试", "fields": {(name.clone()): value}});
            let patch = |user: &str, version: &str| world.client(user).patch(&self.path(&id), version, &change);
            let stale = patch(CLERK, "\"9999\"")?;
            ensure!(stale.status == 409 || stale.status == 412, "a stale version: {}", stale.status);
            refused(&patch(READER, &format!("\"{version}\""))?, "change as a reader")?;
            let changed = done(patch(CLERK, &format!("\"{version}\""))?, &format!("change of {name}"))?;
            ensure!(changed["version"] == version + 1, "{changed}");
            ensure!(changed["fields"][&name] == value, "{name} is {} after {value}", changed["fields"][&name]);
        }
        if !self.register().unique.is_empty() {
            let again = self.post(CLERK, &fields)?;
            let found = named(&again)?;
            let expected = self.register().unique.iter().filter(|name| fields.contains_key(*name));
            for name in expected {
                ensure!(found.contains(name), "a second record with the same {name}: {}", again.text());
            }
        }
        let act = |user: &str, action: &str| {
            world.client(user).post(&format!("{}/actions/{action}", self.path(&id)), &json!({"reason": "测试"}))
        };
        let mut expected = vec!["create"];
        if self.register().lifecycle.contains(&Lifecycle::Close) {
            refused(&act(READER, "close")?, "close as a reader")?;
            ensure!(done(act(CLERK, "close")?, "close")?["state"] == "closed");
            let twice = act(CLERK, "close")?;
            ensure!(twice.status == 409, "closed twice: {}", twice.status);
            expected.push("close");
            if self.register().lifecycle.contains(&Lifecycle::Restore) {
                ensure!(done(act(CLERK, "restore")?, "restore")?["state"] == "open");
                expected.push("restore");
            }
        }
        let closed = expected.last() == Some(&"close");
        let history = done(world.client(CLERK).get(&format!("{}/history", self.path(&id)))?, "history")?;
        let actions: Vec<&str> =
            history["history"].as_array().context("history")?.iter().filter_map(|e| e["action"].as_str()).collect();
        for step in expected {
            ensure!(actions.contains(&step), "{step} is not in the history: {actions:?}");
        }
        // The stores are asked for a record in force.
        match closed {
            true => Ok(self.create(&world.whole(&self.dataset)?)?["id"].as_str().context("id")?.to_string()),
            false => Ok(id),
        }
    }

    /// A field that may be changed on its own, and another value for it.
    fn another(&self, whole: &Map<String, Value>) -> Option<(String, Value)> {
        let first = self.register().stage.first();
        if first.is_some_and(|s| !s.editable) || !self.register().lifecycle.contains(&Lifecycle::Change) {
            return None;
        }
        let ruled: BTreeSet<String> =
            self.register().check.iter().flat_map(|c| c.rule.iter().chain([&c.field]).cloned()).collect();
        let free = |f: &&Field| {
            !f.by_action
                && !self.dataset.key.contains(&f.name)
                && self.dataset.time.as_ref() != Some(&f.name)
                && f.sensitivity < zonglan_catalog::dataset::Sensitivity::Personal
                && !ruled.iter().any(|r| r.contains(&f.name))
                && !self.register().unique.contains(&f.name)
        };
        self.dataset.field.iter().filter(free).find_map(|f| match f.kind {
            FieldType::Text if f.format.is_none() && !self.given(f) => Some((f.name.clone(), json!("改"))),
            FieldType::Bool => Some((f.name.clone(), json!(!whole.get(&f.name)?.as_bool()?))),
            _ => None,
        })
    }

    /// Every action from every stage, by those who may, and refused to those who may not.
    fn stages(&self) -> Result<usize> {
        let register = self.register().clone();
        let mut reached = BTreeSet::new();
        let mut count = 0;
        for action in &register.action {
            let from: Vec<&str> = if action.from.is_empty() {
                register.stage.iter().filter(|s| !s.last).map(|s| s.code.as_str()).collect()
            } else {
                action.from.iter().map(String::as_str).collect()
            };
            for stage in from {
                let way = way_to(&register, stage).with_context(|| format!("no way to stage {stage}"))?;
                let mut whole = self.world.whole(&self.dataset)?;
                for step in way.iter().copied().chain([action]) {
                    meet(&step.when, &mut whole);
                }
                let id = self.create(&whole)?["id"].as_str().context("id")?.to_string();
                for step in way {
                    self.perform(&register, step, &id, &whole, false)
                        .with_context(|| format!("{} on the way to {stage}", step.name))?;
                }
                self.perform(&register, action, &id, &whole, true)
                    .with_context(|| format!("{} in stage {stage}", action.name))?;
                reached.insert(stage.to_string());
                reached.extend(action.to.clone());
                count += 1;
            }
        }
        let never: Vec<_> = register.stage.iter().filter(|s| !reached.contains(&s.code)).map(|s| &s.code).collect();
        ensure!(never.is_empty(), "stages never reached: {never:?}");
        Ok(count)
    }

    fn perform(
        &self,
        register: &Register,
        action: &ActionRule,
        id: &str,
        whole: &Map<String, Value>,
        check: bool,
    ) -> Result<()> {
        let now = done(self.get(CLERK, id)?, "get")?;
        let stage = now["fields"][&register.stage_field].as_str().context("a stage")?.to_string();
        let who = if action.who.is_empty() {
            register.stage(&stage).map(|s| s.who.clone()).unwrap_or_default()
        } else {
            action.who.clone()
        };
        // The leader reviews what the clerk entered; who else may is the clerk.
        let user =
            if who.iter().any(|w| w == "role:leader") && (action.separate || !who.iter().any(|w| w == "role:clerk")) {
                LEADER
            } else {
                CLERK
            };
        let path = format!("{}/actions/{}", self.path(id), action.name);
        let remark = self
            .dataset
            .field
            .iter()
            .find(|f| !f.by_action && !self.dataset.key.contains(&f.name))
            .map(|f| f.name.clone());
        let fields: Map<String, Value> =
            action.input.iter().filter_map(|name| Some((name.clone(), given(register, name, whole)?))).collect();
        let remarks: Map<String, Value> =
            remark.filter(|_| action.names_fields).map(|name| (name, json!("请更正"))).into_iter().collect();
        let body = json!({"reason": "测试", "fields": fields, "remarks": remarks});
        if check {
            refused(&self.world.client(READER).post(&path, &body)?, "an action by a reader")?;
            if user == LEADER && !who.iter().any(|w| w == "role:clerk" || w == "creator") {
                refused(&self.world.client(CLERK).post(&path, &body)?, "an action by who entered it")?;
            }
            let empty: Vec<_> = action.require.iter().filter(|name| now["fields"][*name].is_null()).collect();
            if !empty.is_empty() {
                let bare = self.world.client(user).post(&path, &json!({"reason": "测试"}))?;
                ensure!(bare.status == 400 || bare.status == 422, "without {empty:?}: {} {}", bare.status, bare.text());
                let found = named(&bare)?;
                ensure!(empty.iter().all(|name| found.contains(*name)), "no error at {empty:?}: {}", bare.text());
            }
        }
        let after = done(self.world.client(user).post(&path, &body)?, &format!("{} as {user}", action.name))?;
        if let Some(to) = &action.to {
            ensure!(
                after["fields"][&register.stage_field] == *to,
                "{} leads to {}",
                action.name,
                after["fields"][&register.stage_field]
            );
        }
        ensure!(after["state"] == if action.closes { "closed" } else { "open" }, "{after}");
        if let Some(next) =
            action.to.as_deref().and_then(|to| register.stage(to)).filter(|s| check && !s.editable && !action.closes)
            && let Some((name, value)) = self.another(whole)
        {
            let version = format!("\"{}\"", after["version"]);
            let change = json!({"fields": {(name): value}});
            let reply = self.world.client(CLERK).patch(&self.path(id), &version, &change)?;
            ensure!((400..500).contains(&reply.status), "a field is changed in stage {}: {}", next.code, reply.status);
        }
        Ok(())
    }

    fn run(&self) -> Result<usize> {
        self.wrong_input().context("wrong input")?;
        let id = self.life().context("its life")?;
        let parent = self.base.rsplit('/').nth(1).unwrap_or_default().to_string();
        self.world.seen.lock().expect("lock").push((self.dataset.name.clone(), id, parent));
        let mut steps = 0;
        if self.register().has_flow() {
            steps = self.stages().context("its stages")?;
        }
        for child in self.world.catalogue.children(&self.dataset.name).filter(|c| c.register.is_some()) {
            // Under a record of its own, whatever became of the others.
            let owner = self.create(&self.world.whole(&self.dataset)?)?;
            let owner = owner["id"].as_str().context("id")?;
            let base = format!("{}/{}", self.path(owner), child.name);
            let book = Book { world: self.world, dataset: child.clone(), base };
            steps += book.run().with_context(|| format!("child {}", child.name))?;
            let list =
                done(self.world.client(CLERK).get(&format!("{}/{}", self.path(owner), child.name))?, "children")?;
            ensure!(list["records"].as_array().is_some_and(|r| !r.is_empty()), "{} lists no children", child.name);
        }
        Ok(steps)
    }
}

/// The shortest sequence of actions from the first stage to another.
fn way_to<'r>(register: &'r Register, goal: &str) -> Option<Vec<&'r ActionRule>> {
    let start = register.stage.first()?.code.clone();
    let mut ways: BTreeMap<String, Vec<&ActionRule>> = BTreeMap::from([(start.clone(), vec![])]);
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(stage) = queue.pop_front() {
        let way = ways.get(&stage).cloned().unwrap_or_default();
        if stage == goal {
            return Some(way);
        }
        for action in register.action.iter().filter(|a| register.offers(a, &stage) && !a.closes) {
            if let Some(to) = action.to.as_ref().filter(|to| !ways.contains_key(*to)) {
                ways.insert(to.clone(), way.iter().copied().chain([action]).collect());
                queue.push_back(to.clone());
            }
        }
    }
    None
}

/// Gives the record what an action's condition asks for.
fn meet(when: &Filter, whole: &mut Map<String, Value>) {
    if let Filter::Cmp { field, op: zonglan_catalog::Op::Eq, value } = when {
        whole.insert(field.clone(), serde_json::to_value(value).unwrap_or_default());
    }
}

fn world(server: &Server) -> Result<World> {
    let mut users = BTreeMap::new();
    for user in [CLERK, LEADER, READER, STRANGER, "auditor", "leader"] {
        users.insert(user, server.client(user)?);
    }
    let until = chrono::Utc::now().date_naive() - chrono::Days::new(1);
    Ok(World {
        catalogue: Catalogue::builtin().map_err(|e| anyhow::anyhow!("{e}"))?,
        made: DemoCity::new(DemoOptions { seed: 77, incidents: 1, until, narratives: false })?,
        users,
        next: AtomicU64::new(0),
        seen: Mutex::default(),
    })
}

/// What the stores say of a record within a few seconds.
fn followed(world: &World, name: &str, id: &str, parent: &str) -> Result<()> {
    let dataset = world.catalogue.dataset(name).context("dataset")?;
    let leader = world.client("leader");
    let mut filter = json!({(dataset.key[0].clone()): {"eq": id}});
    if dataset.within_parent {
        let open = leader.post("/api/v1/query", &json!({"dataset": name, "rows": dataset.key, "where": filter}))?;
        ensure!(open.status == 403, "rows of all parents are shown: {}", open.status);
        let link = &dataset.parent.as_ref().context("parent")?.field;
        filter = json!({"and": [filter, {(link.clone()): {"eq": parent}}]});
    }
    let query = json!({"dataset": name, "rows": dataset.key, "where": filter});
    let start = Instant::now();
    loop {
        let rows = done(leader.post("/api/v1/query", &query)?, "query")?["rows"].as_array().map_or(0, Vec::len);
        let hits = if dataset.is_searchable() {
            let search = json!({"dataset": name, "query": "", "filters": {(dataset.key[0].clone()): {"eq": id}}});
            done(leader.post("/api/v1/search", &search)?, "search")?["total"].as_u64().unwrap_or(0)
        } else {
            1
        };
        if (rows, hits) == (1, 1) {
            return Ok(());
        }
        ensure!(start.elapsed() < Duration::from_secs(20), "{rows} rows in the columns and {hits} in the index");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What is entered for a field in an action: as in the demo city, but today where it may not lie
/// before a date that an earlier action set to today.
fn given(register: &Register, name: &str, whole: &Map<String, Value>) -> Option<Value> {
    let after = |rule: &str| {
        let (field, bound) = rule.split_once(">=")?;
        let set = register.action.iter().any(|a| a.set.get(bound.trim()).is_some_and(|v| v == "today"));
        (field.trim() == name && set).then_some(())
    };
    match register.check.iter().find_map(|c| after(c.rule.as_deref()?)) {
        Some(()) => Some(json!(to_local(chrono::Utc::now().timestamp_millis()).date())),
        None => whole.get(name).cloned(),
    }
}

/// Runs a check for each name on a few threads; all failures are told.
fn each<T: Sync>(
    list: &[T],
    name: impl Fn(&T) -> String + Sync,
    check: impl Fn(&T) -> Result<usize> + Sync,
) -> Result<usize> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(item) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match check(item) {
                        Ok(n) => drop(total.fetch_add(n, Ordering::Relaxed)),
                        Err(error) => failures.lock().expect("lock").push(format!("{}: {error:#}", name(item))),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner()?;
    if !failures.is_empty() {
        bail!("{} of {} fail:\n{}", failures.len(), list.len(), failures.join("\n"));
    }
    Ok(total.into_inner())
}

// modules: C043, C044, C050, C052, C053, C054, C055, C058, C060, C061, C062, C063, C067, C069, C070, C071
// modules: D007, D008, D010, D011, D012, D021, D022, D023, D024, D025, D026, D029, D030, D031, D033, D034, D035
// modules: G001, G002, G003, G004, G005, G008, G067, G068, G074, G075, G077, G078, G079, G080, G081, G082, G087
// modules: G088, G089, G090, G091, G092, G093, G095, G096, G102, G103, G105, G106, G107, G108, G110, G111, G112
// modules: G113, G114, G115, G117, G122, G123, G125, G126, G127, G128, G129, G130, G131, G132, G134, G135, G136
// modules: G137, G138, G139, G140, G141, G142, G143, G144, G145, G146, G165, G166, G168, G203, G204, G206, G207
// modules: G208, G210, G211, G215, G216, G217, G218, G219, G221, G223, G224, G225, G281, L146, L147, L151, L153
// modules: L154, L156, L157, L158, L159, L168, L169, L171, L172, L173, L175, L180, L182, L211, L212, L213, L214
// modules: L215, L285, P004, P006, P007, P008, P010, P011, P013, P014, P015, P016, P017, P018, P019, P020, P021
// modules: P022, P023, P024, P025, P026, P027, P028, P029, P030, P031, P032, P033, P034, P035, P036, P037, P038
// modules: P039, P040, P041, P042, P043, P044, P045, P046, P047, P048, P049, P050, P051, P052, P053, P054, P055
// modules: P056, P057, P058, P059, P060, P061, P062, P063, P064, P065, P066, P067, P068, P070, P071, P072, P073
// modules: P074, P082, P097
#[test]
fn every_register_lives_through_its_whole_life() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let world = world(&server)?;
    let served = done(world.client("leader").get("/api/v1/datasets")?, "datasets")?;
    let names: BTreeSet<&str> = served.as_array().into_iter().flatten().filter_map(|d| d["name"].as_str()).collect();
    let registers: Vec<Arc<Dataset>> = world
        .catalogue
        .datasets()
        .filter(|d| d.source == Source::Records && d.parent.is_none() && d.register.as_ref().is_some_and(|r| !r.system))
        .cloned()
        .collect();
    ensure!(registers.len() >= 100, "only {} registers", registers.len());
    let unserved: Vec<_> = registers.iter().filter(|d| !names.contains(d.name.as_str())).map(|d| &d.name).collect();
    ensure!(unserved.is_empty(), "not served: {unserved:?}");
    let only = std::env::var("ZONGLAN_REGISTER").unwrap_or_default();
    let chosen: Vec<_> = registers.into_iter().filter(|d| d.name.contains(&only)).collect();
    let start = Instant::now();
    let steps = each(
        &chosen,
        |d| d.name.clone(),
        |dataset| {
            let base = format!("/api/v1/records/{}", dataset.name);
            Book { world: &world, dataset: dataset.clone(), base }.run()
        },
    )?;
    let seen = std::mem::take(&mut *world.seen.lock().expect("lock"));
    each(
        &seen,
        |(name, id, _)| format!("{name} {id}"),
        |(name, id, parent)| followed(&world, name, id, parent).map(|()| 1),
    )?;
    // The board of each register draws all its panels.
    each(
        &chosen,
        |d| format!("board of {}", d.name),
        |dataset| {
            let reply = world.client("leader").get(&format!("/api/v1/boards/{}/data?layout=desktop", dataset.name))?;
            ensure!(reply.status == 200, "{}", reply.status);
            let failed: Vec<String> =
                reply.text().lines().filter(|l| l.contains("\"error\"")).map(str::to_string).collect();
            ensure!(failed.is_empty(), "{failed:?}");
            Ok(1)
        },
    )?;
    eprintln!("{} registers, {} with their children, {steps} steps in {:?}", chosen.len(), seen.len(), start.elapsed());
    Ok(())
}
