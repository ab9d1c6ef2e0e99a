//! Kept searches: nobody is watched by name, and new hits are told of.
//!
//! A search that looks for a person is not kept with alerts, nor kept at all, unless every case it
//! can find is assigned to the user by a grant with purpose and end. Whether words name a person is
//! seen from the texts themselves: a marked place that is, or lies in, the name of a party who is a
//! human being. Where nothing is found yet, words that look like a name are taken for one.

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::SavedSearch;
use std::collections::HashSet;
use std::time::Duration;
use zonglan_catalog::traits::{Notice, Notifier};
use zonglan_catalog::{Dataset, Filter, Op, Principal, SearchRequest, Value};
use zonglan_models::extract::{self, Being};

/// Hits that a kept search remembers, and so the most it can tell apart from new ones.
const REMEMBERED: usize = 1_000;
/// Hits whose texts are looked at for names.
const LOOKED_AT: usize = 30;

/// Common surnames: enough to take a short unknown word for a name. Characters that begin many
/// other words of two characters are left out where the word is found in texts.
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤";

/// Words of a query: what stands between its marks, operators left out.
fn words(query: &str) -> Vec<String> {
    let marks = |c: char| c.is_whitespace() || "\"“”「」()（）:：,，。、;；*?？!！/且或非~".contains(c);
    let operator = |w: &str| matches!(w, "AND" | "OR" | "NOT" | "s" | "p") || w.starts_with("NEAR");
    let words: Vec<&str> = query.split(marks).filter(|w| !w.is_empty()).collect();
    // The number after NEAR is a distance.
    let distance = |n: usize| n > 0 && words[n - 1] == "NEAR" && words[n].chars().all(|c| c.is_ascii_digit());
    let kept = words.iter().enumerate().filter(|(n, w)| !operator(w) && !distance(*n));
    kept.map(|(_, w)| (*w).to_string()).collect()
}

fn looks_like_a_name(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let han = chars.iter().all(|c| ('\u{4e00}'..='\u{9fff}').contains(c));
    han && matches!(chars.len(), 2 | 3)
        && SURNAMES.contains(chars[0])
        && !word.ends_with(['罪', '案', '法', '权', '款'])
}

/// Names of human beings in a text, in any role.
fn people(text: &str) -> HashSet<String> {
    let read = extract::judgment(text);
    read.parties
        .into_iter()
        .filter(|p| p.being == Being::Person && p.name.chars().count() >= 2)
        .map(|p| p.name)
        .collect()
}

/// Keys of rows that a grant assigns to the user now, and when the first of them ends.
pub fn assigned(principal: &Principal, dataset: &str, now: i64) -> (HashSet<String>, Option<i64>) {
    let live = principal.grants.iter().filter(|g| g.dataset == dataset && g.expires > now && !g.records.is_empty());
    let (mut keys, mut end) = (HashSet::new(), None::<i64>);
    for grant in live {
        keys.extend(grant.records.iter().cloned());
        end = Some(end.map_or(grant.expires, |e| e.min(grant.expires)));
    }
    (keys, end)
}

/// The rows that a filter binds a search to, where it names them by key.
fn bound_to(dataset: &Dataset, filter: &Filter) -> Option<Vec<String>> {
    let [key] = dataset.key.as_slice() else { return None };
    match filter {
        Filter::Cmp { field, op: Op::Eq, value: Value::Text(id) } if field == key => Some(vec![id.clone()]),
        Filter::In { field, values } if field == key => Some(values.iter().map(Value::to_text).collect()),
        Filter::And(list) => list.iter().find_map(|f| bound_to(dataset, f)),
        _ => None,
    }
}

/// What a run of a search found.
pub struct Run {
    pub ids: Vec<String>,
    pub total: u64,
    /// A word that names a person, if one does.
    pub person: Option<String>,
}

/// Runs a search for its newest hits and looks whether it looks for a person.
pub async fn run(app: &App, principal: &Principal, request: &SearchRequest) -> Result<Run> {
    let catalogue = app.catalogue();
    let dataset = catalogue.dataset(&request.dataset).cloned();
    let mut newest = SearchRequest {
        limit: REMEMBERED,
        offset: 0,
        facets: Vec::new(),
        histogram: None,
        explain: false,
        ..request.clone()
    };
    newest.sort = dataset.as_ref().and_then(|d| d.time.clone()).map(|time| format!("-{time}"));
    let bound = app.bind_search(principal, &newest)?;
    let page = app.search(&bound).await?;
    let asked: Vec<String> = std::iter::once(&request.query).chain(&request.within).flat_map(|q| words(q)).collect();
    let mut person = None;
    if let Some(dataset) = dataset.filter(|_| !asked.is_empty()) {
        let text = extract_field(app, &dataset);
        let mut seen = 0;
        for hit in page.hits.iter().take(LOOKED_AT) {
            let Some(text) = &text else { break };
            let (index, bound, id) = (app.index.clone(), bound.clone(), hit.id.clone());
            let document =
                tokio::task::spawn_blocking(move || index.get(&bound, &id)).await.map_err(Error::internal)??;
            let Some(Value::Text(text)) = document.and_then(|mut d| d.fields.remove(text)) else { continue };
            seen += 1;
            let names = tokio::task::spawn_blocking(move || people(&text)).await.map_err(Error::internal)?;
            let named = |w: &&String| {
                w.chars().count() >= 2
                    && names.iter().any(|n| n == *w || n.contains(w.as_str()) || w.contains(n.as_str()))
            };
            person = person.or_else(|| asked.iter().find(named).cloned());
            if person.is_some() {
                break;
            }
        }
        // Nothing to judge by: a watch for somebody who may appear one day is refused too.
        if person.is_none() && seen == 0 {
            person = asked.iter().find(|w| looks_like_a_name(w)).cloned();
        }
    }
    Ok(Run { ids: page.hits.into_iter().map(|h| h.id).collect(), total: page.total, person })
}

/// The field with the texts that names are read from.
fn extract_field(app: &App, dataset: &Dataset) -> Option<String> {
    let rules = crate::extracting::rules(&app.catalogue(), &dataset.name).map(|r| r.text);
    rules.or_else(|| dataset.searched().next().map(|f| f.name.clone()))
}

/// Refuses to keep a search for a person; gives the end of the grants where the cases are assigned.
pub fn permit(app: &App, principal: &Principal, request: &SearchRequest, run: &Run) -> Result<Option<i64>> {
    let Some(person) = &run.person else { return Ok(None) };
    let (keys, end) = assigned(principal, &request.dataset, app.clock.now());
    let catalogue = app.catalogue();
    let own = catalogue
        .dataset(&request.dataset)
        .and_then(|d| bound_to(d, &request.filters))
        .is_some_and(|ids| !ids.is_empty() && ids.iter().all(|id| keys.contains(id)));
    if own {
        return Ok(end);
    }
    Err(Error::forbidden(
        "search.person",
        format!("「{person}」是人名。保存的检索和提醒不能针对个人，除非检索只在指派给您的案件之内 (a kept search may not look for a person)"),
    )
    .hint("请改用案由、法条、事实或案号；如为承办案件，请先在「查询权限」申请该案件"))
}

/// Watches for new hits of kept searches until the program stops.
pub async fn watch(app: App) {
    let mut ticks = app.live.subscribe();
    let mut seen = app.live.versions();
    loop {
        tokio::select! {
            changed = ticks.changed() => if changed.is_err() { return },
            () = app.stopping.cancelled() => return,
        }
        // A load commits many times; once a while is soon enough for a notice.
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = app.stopping.cancelled() => return,
        }
        let now = ticks.borrow_and_update().clone();
        let moved: HashSet<String> = now
            .iter()
            .filter(|(name, version)| seen.get(*name) != Some(version))
            .map(|(name, _)| name.clone())
            .collect();
        seen = now;
        match app.store.searches.saved(None).await {
            Ok(list) => {
                for search in list.into_iter().filter(|s| moved.contains(&s.request.dataset)) {
                    let id = search.id;
                    if let Err(error) = alert(&app, search).await {
                        tracing::warn!(search.id = id, error = %error.0, "a kept search was not run");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "kept searches could not be read"),
        }
    }
}

/// Runs one kept search with today's rights of its owner and tells of what is new.
async fn alert(app: &App, search: SavedSearch) -> Result<()> {
    let stop = |why: &str| app.store.searches.ran(search.id, &search.known, search.total, Some(why.to_string()));
    if search.expires_at.is_some_and(|at| at <= app.clock.now()) {
        return Ok(stop("案件授权已到期，提醒停止").await?);
    }
    let Ok(principal) = app.store.identity.principal(&search.user) else { return Ok(()) };
    let run = match run(app, &principal, &search.request).await {
        Ok(run) => run,
        Err(error) if error.class() == zonglan_catalog::error::ErrorClass::Forbidden => {
            return Ok(stop("您已没有查看该数据集的权限，提醒停止").await?);
        }
        Err(error) => return Err(error),
    };
    if permit(app, &principal, &search.request, &run).is_err() {
        return Ok(stop("检索词是案件当事人的姓名，提醒停止").await?);
    }
    let known: HashSet<&String> = search.known.iter().collect();
    let fresh: Vec<&String> = run.ids.iter().filter(|id| !known.contains(id)).collect();
    if !fresh.is_empty() {
        let event = crate::store::AuditEvent::new(&search.user, "alert")
            .dataset(&search.request.dataset)
            .detail(serde_json::json!({"search": search.id, "new": fresh.len()}));
        app.store.log.audit(event).await?;
        let notice = Notice {
            to: search.user.clone(),
            title: format!("检索「{}」有 {} 条新结果", search.name, fresh.len()),
            body: format!("现共 {} 条", run.total),
            link: Some(format!("/cases?saved={}", search.id)),
            key: format!("search-{}-{}", search.id, fresh.first().map_or("", |id| id.as_str())),
        };
        app.store.notices.notify(&notice).await?;
    }
    app.store.searches.ran(search.id, &run.ids, run.total, None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_query() {
        assert_eq!(words("\"交通肇事\" 且 （逃逸 或 酒驾） court:上海"), ["交通肇事", "逃逸", "酒驾", "court", "上海"]);
        assert_eq!(words("王大锤 NEAR/3 盗窃 3"), ["王大锤", "盗窃", "3"]);
    }

    #[test]
    fn names_look_like_names() {
        assert!(looks_like_a_name("王大锤") && looks_like_a_name("李四"));
        for word in ["交通肇事", "盗窃罪", "合同", "NEAR", "张"] {
            assert!(!looks_like_a_name(word), "{word}");
        }
    }
}
