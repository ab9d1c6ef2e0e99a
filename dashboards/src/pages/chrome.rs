//! What every page shares: who is signed in, where one can go, the demo mark.

use zonglan_catalog::codes::Label;
use zonglan_catalog::{Catalogue, Principal};

/// The language of labels. Chinese first; `?lang=en` shows English.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lang {
    #[default]
    Zh,
    En,
}

impl Lang {
    pub fn parse(text: Option<&str>) -> Self {
        if text.is_some_and(|t| t.starts_with("en")) { Self::En } else { Self::Zh }
    }

    pub fn pick(self, label: &Label) -> &str {
        match self {
            Self::Zh => &label.zh,
            Self::En => &label.en,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// One of two texts, for templates.
    pub fn t<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// The frame of every page.
#[derive(Debug, Clone)]
pub struct Chrome {
    pub lang: Lang,
    /// Everything shown is generated: the mark 演示数据 is on the page.
    pub demo: bool,
    /// Value for the header `x-csrf-token` of unsafe methods; empty without a session.
    pub csrf: String,
    pub user: Option<UserView>,
    pub nav: Vec<NavItem>,
    /// The path of this page, to mark the current item.
    pub path: String,
}

#[derive(Debug, Clone)]
pub struct UserView {
    pub user: String,
    pub name: String,
    pub roles: String,
    pub regions: String,
}

#[derive(Debug, Clone)]
pub struct NavItem {
    pub href: String,
    pub label: String,
    pub current: bool,
}

impl Chrome {
    /// Nobody signed in: login and error pages.
    pub fn anonymous(demo: bool, lang: Lang) -> Self {
        Self { lang, demo, csrf: String::new(), user: None, nav: Vec::new(), path: String::new() }
    }

    /// The navigation holds what the principal may open.
    pub fn signed_in(
        catalogue: &Catalogue,
        principal: &Principal,
        csrf: &str,
        demo: bool,
        path: &str,
        lang: Lang,
    ) -> Self {
        let policy = catalogue.policy();
        let roles: Vec<&str> =
            principal.roles.iter().map(|r| policy.role(r).map_or(r.as_str(), |role| lang.pick(&role.label))).collect();
        let regions: Vec<&str> = principal
            .regions
            .iter()
            .map(|code| {
                let item = catalogue.codes("region").and_then(|list| list.get(code));
                match item {
                    Some(item) => lang.t(&item.zh, &item.en),
                    None if code == "310000" => lang.t("全市", "whole city"),
                    None => code,
                }
            })
            .collect();
        let mut nav = vec![("/".to_string(), lang.t("首页", "Home").to_string())];
        if catalogue.board("home").is_some() {
            nav.push(("/boards/home".into(), lang.t("驾驶舱", "Board").into()));
        }
        nav.push(("/explore".into(), lang.t("数据查询", "Explore").into()));
        let lists = |d: &zonglan_catalog::Dataset| policy.may_list_rows(principal, d);
        if catalogue.datasets().any(|d| d.is_searchable() && lists(d)) {
            nav.push(("/cases".into(), lang.t("全文检索", "Search").into()));
        }
        // Hundreds of registers have a page of their own.
        let listed = |d: &zonglan_catalog::Dataset| d.register.as_ref().is_some_and(|r| !r.system) && lists(d);
        if catalogue.datasets().any(|d| d.parent.is_none() && listed(d)) {
            nav.push(("/records".into(), lang.t("登记簿", "Registers").into()));
        }
        if catalogue.dataset("task").is_some() {
            nav.push(("/tasks".into(), lang.t("任务", "Tasks").into()));
        }
        nav.push(("/geo".into(), lang.t("坐标地名", "Places").into()));
        if catalogue.datasets().any(|d| policy.may_import(principal, d)) {
            nav.push(("/import".into(), lang.t("数据导入", "Import").into()));
        }
        nav.push(("/models".into(), lang.t("模型运行", "Models").into()));
        nav.push(("/datasets".into(), lang.t("数据口径", "Definitions").into()));
        let current =
            |href: &str| if href == "/" { path == "/" } else { path == href || path.starts_with(&format!("{href}/")) };
        Self {
            lang,
            demo,
            csrf: csrf.to_string(),
            user: Some(UserView {
                user: principal.user.clone(),
                name: principal.name.clone(),
                roles: roles.join("、"),
                regions: regions.join("、"),
            }),
            nav: nav.into_iter().map(|(href, label)| NavItem { current: current(&href), href, label }).collect(),
            path: path.to_string(),
        }
    }

    /// One of two texts in the page's language.
    pub fn t<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        self.lang.t(zh, en)
    }

    /// An asset's address with its content hash, cached for ever.
    pub fn asset(&self, name: &str) -> String {
        crate::assets::url(name)
    }
}
