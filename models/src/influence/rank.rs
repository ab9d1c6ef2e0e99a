//! From posts to rankings: the index of each account by day, week and month, with rise and fall.
//!
//! A formula file with `platform` ranks the accounts of that platform. Each ranking and each comparison
//! with the period before holds one formula version: rows of versions lie beside each other, never in one.

use super::{Figures, Formula, Influence, ranking};
use crate::error::Result;
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonglan_catalog::Catalogue;
use zonglan_catalog::time::Grain;

/// An account of a government body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub platform: String,
}

/// A post with its figures; what a platform does not count is 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Post {
    pub id: String,
    /// Index of the account.
    pub account: usize,
    pub day: NaiveDate,
    pub reads: f64,
    pub wows: f64,
    pub likes: f64,
    pub shares: f64,
    pub comments: f64,
    pub headline: bool,
    pub original: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    pub const ALL: [Period; 3] = [Period::Day, Period::Week, Period::Month];

    pub fn name(self) -> &'static str {
        self.grain().name()
    }

    fn grain(self) -> Grain {
        match self {
            Period::Day => Grain::Day,
            Period::Week => Grain::Week,
            Period::Month => Grain::Month,
        }
    }

    /// Days that the formula divides by: 1, 7, 30 as the published formula has it; those gone by where
    /// the period is not over.
    fn days(self, start: NaiveDate, until: NaiveDate) -> f64 {
        let gone = (until - start).num_days() + 1;
        let whole = (self.grain().next_date(start) - start).num_days();
        if gone < whole {
            return gone as f64;
        }
        match self {
            Period::Day => 1.0,
            Period::Week => 7.0,
            Period::Month => 30.0,
        }
    }
}

/// An account in a period by one formula version.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub account: usize,
    pub period: Period,
    pub start: NaiveDate,
    /// `wci-14.2`: the name of the formula's file.
    pub formula: String,
    pub value: f64,
    pub rank: usize,
    /// Places gained since the period before; `None` where the account was not ranked then.
    pub rise: Option<i64>,
    pub change: Option<f64>,
    pub posts: usize,
    pub reads: f64,
    pub likes: f64,
    pub shares: f64,
    pub comments: f64,
    /// Index of the post with the most reads.
    pub best: Option<usize>,
}

/// The formulas that rank a platform, with the names of their files.
///
/// # Errors
/// What is wrong in a file.
pub fn formulas(catalogue: &Catalogue) -> Result<Vec<(String, Formula)>> {
    let mut out = Vec::new();
    for (name, _) in catalogue.files("influence") {
        if let Some(formula) = catalogue.parse_file::<Formula>("influence", name)?.filter(|f| f.platform.is_some()) {
            out.push((name.to_string(), formula));
        }
    }
    Ok(out)
}

/// The figures of one account in a period, for every formula: totals, headlines, maxima.
pub fn figures<'a>(posts: impl Iterator<Item = &'a Post>, days: f64) -> Figures {
    let mut out = Figures { days, ..Figures::default() };
    let add = |map: &mut BTreeMap<String, f64>, key: &str, x: f64| *map.entry(key.to_string()).or_default() += x;
    for key in ["reads", "wows", "likes", "shares"] {
        add(&mut out.totals, key, 0.0);
        add(&mut out.headline, key, 0.0);
        add(&mut out.max, key, 0.0);
    }
    for key in ["posts", "original", "reposts", "comments", "original_reposts", "original_comments"] {
        add(&mut out.totals, key, 0.0);
    }
    for post in posts {
        out.articles += 1.0;
        add(&mut out.totals, "posts", 1.0);
        for (key, x) in [("reads", post.reads), ("wows", post.wows), ("likes", post.likes), ("shares", post.shares)] {
            add(&mut out.totals, key, x);
            if post.headline {
                add(&mut out.headline, key, x);
            }
            let max = out.max.entry(key.to_string()).or_default();
            *max = max.max(x);
        }
        out.headline_articles += f64::from(u8::from(post.headline));
        add(&mut out.totals, "reposts", post.shares);
        add(&mut out.totals, "comments", post.comments);
        if post.original {
            add(&mut out.totals, "original", 1.0);
            add(&mut out.totals, "original_reposts", post.shares);
            add(&mut out.totals, "original_comments", post.comments);
        }
    }
    out
}

/// Rankings of the last `count` periods that end with the one of `until`. Accounts without a post are
/// ranked with what the formula gives them by week and month, and left out of a day.
///
/// # Errors
/// A figure that a formula needs and posts do not have.
pub fn rows(
    formulas: &[(String, Formula)],
    accounts: &[Account],
    posts: &[Post],
    until: NaiveDate,
    period: Period,
    count: usize,
) -> Result<Vec<Row>> {
    let grain = period.grain();
    let mut starts = vec![grain.floor_date(until)];
    // One more, to compare the first with.
    while starts.len() <= count {
        let last = starts[starts.len() - 1];
        starts.push(grain.floor_date(last.checked_sub_days(Days::new(1)).unwrap_or(last)));
    }
    starts.reverse();
    let mut by: BTreeMap<(NaiveDate, usize), Vec<usize>> = BTreeMap::new();
    for (index, post) in posts.iter().enumerate().filter(|(_, p)| p.day <= until && p.day >= starts[0]) {
        by.entry((grain.floor_date(post.day), post.account)).or_default().push(index);
    }
    let mut out = Vec::new();
    for (name, formula) in formulas {
        let mut before: Vec<(String, Influence)> = Vec::new();
        for (at, start) in starts.iter().enumerate() {
            let mut now = Vec::new();
            for (index, account) in accounts.iter().enumerate() {
                if formula.platform.as_deref() != Some(account.platform.as_str()) {
                    continue;
                }
                let mine = by.get(&(*start, index)).map(Vec::as_slice).unwrap_or_default();
                if mine.is_empty() && period == Period::Day {
                    continue;
                }
                let figures = figures(mine.iter().map(|i| &posts[*i]), period.days(*start, until));
                now.push((index.to_string(), formula.value(&figures)?));
            }
            if at > 0 {
                for ranked in ranking(&now, &before)? {
                    let Ok(account) = ranked.account.parse::<usize>() else { continue };
                    let mine = by.get(&(*start, account)).map(Vec::as_slice).unwrap_or_default();
                    let sum = |f: &dyn Fn(&Post) -> f64| mine.iter().map(|i| f(&posts[*i])).sum::<f64>();
                    out.push(Row {
                        account,
                        period,
                        start: *start,
                        formula: name.clone(),
                        value: ranked.value,
                        rank: ranked.rank,
                        rise: ranked.rise,
                        change: ranked.change,
                        posts: mine.len(),
                        reads: sum(&|p| p.reads),
                        likes: sum(&|p| p.likes),
                        shares: sum(&|p| p.shares),
                        comments: sum(&|p| p.comments),
                        best: mine.iter().copied().max_by(|a, b| posts[*a].reads.total_cmp(&posts[*b].reads)),
                    });
                }
            }
            before = now;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn post(account: usize, date: &str, reads: f64, headline: bool) -> Post {
        Post {
            id: format!("{account}-{date}-{reads}"),
            account,
            day: day(date),
            reads,
            wows: 2.0,
            likes: 4.0,
            shares: 6.0,
            comments: 3.0,
            headline,
            original: headline,
        }
    }

    /// The worked example of WCI V14.2, as posts: 21 in a week, 7 of them headlines.
    fn example() -> Vec<Post> {
        let mut posts: Vec<Post> = (0..21)
            .map(|i| {
                let headline = i % 3 == 0;
                let first = i == 0;
                let (reads, wows, likes, shares) = match (headline, first) {
                    (true, true) => (40_000.0, 90.0, 150.0, 300.0),
                    (true, false) => (65_000.0 / 6.0, 20.0, 45.0, 55.0),
                    _ => (7_500.0, 15.0, 30.0, 45.0),
                };
                Post {
                    id: format!("p{i}"),
                    day: day("2026-03-02") + Days::new(i / 3),
                    reads,
                    wows,
                    likes,
                    shares,
                    comments: 0.0,
                    headline,
                    original: true,
                    account: 0,
                }
            })
            .collect();
        posts.push(post(1, "2026-02-24", 900.0, true));
        posts.push(post(1, "2026-03-03", 900.0, true));
        posts.push(post(0, "2026-02-25", 100.0, false));
        posts
    }

    // modules: L271, L272
    #[test]
    fn posts_give_the_worked_example_and_versions_stay_apart() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let formulas = formulas(&catalogue).expect("valid");
        let account = |id: &str, platform: &str| Account { id: id.into(), platform: platform.into() };
        let accounts = [account("A", "wechat"), account("B", "wechat"), account("C", "weibo"), account("D", "douyin")];
        let out = rows(&formulas, &accounts, &example(), day("2026-03-08"), Period::Week, 2).expect("computes");
        let find = |formula: &str, account: usize, start: &str| {
            out.iter().find(|r| r.formula == formula && r.account == account && r.start == day(start)).expect("a row")
        };
        let a = find("wci-14.2", 0, "2026-03-02");
        assert!((a.value - 990.6488).abs() < 1e-3, "{}", a.value);
        assert_eq!((a.rank, a.rise, a.posts, a.best), (1, Some(1), 21, Some(0)));
        assert_eq!(find("wci-14.2", 1, "2026-03-02").rise, Some(-1));
        assert!((find("wci-12", 0, "2026-03-02").value - 824.3775).abs() < 1e-3);
        // A change compares values of one version: that of V12 is not that of V14.2.
        let before = find("wci-14.2", 0, "2026-02-23").value;
        assert!((a.change.expect("ranked before") - (a.value - before)).abs() < 1e-9);
        // Weibo accounts without posts are ranked, by both forms of the BCI; platforms without a formula are not.
        assert!(out.iter().any(|r| r.account == 2 && r.formula == "bci-4" && r.value == 0.0));
        assert!(out.iter().all(|r| r.account != 3));
        let days = rows(&formulas, &accounts, &example(), day("2026-03-08"), Period::Day, 7).expect("computes");
        assert!(days.iter().all(|r| r.posts > 0));
    }

    #[test]
    fn an_open_period_is_divided_by_the_days_gone() {
        assert_eq!(Period::Month.days(day("2026-03-01"), day("2026-03-10")), 10.0);
        assert_eq!(Period::Month.days(day("2026-03-01"), day("2026-03-31")), 30.0);
        assert_eq!(Period::Week.days(day("2026-03-02"), day("2026-03-08")), 7.0);
        assert_eq!(Period::Week.days(day("2026-03-02"), day("2026-03-04")), 3.0);
    }

    #[test]
    fn figures_of_the_blog_index() {
        let posts = [post(0, "2026-03-02", 10.0, true), post(0, "2026-03-02", 20.0, false)];
        let f = figures(posts.iter(), 1.0);
        let of = |key: &str| f.totals[key];
        assert_eq!((of("posts"), of("original"), of("reposts"), of("original_reposts")), (2.0, 1.0, 12.0, 6.0));
        assert_eq!((f.headline_articles, f.headline["reads"], f.max["reads"]), (1.0, 10.0, 20.0));
    }
}
