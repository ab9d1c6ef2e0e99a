//! Sign-in, sessions, tokens, lockout, rights that change while somebody is signed in.

use super::*;
use std::net::{IpAddr, Ipv4Addr};
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::policy::Grant;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "Huangpu-2026";

fn clerk() -> NewUser {
    NewUser {
        username: "wang".into(),
        name: "王".into(),
        password: PASSWORD.into(),
        roles: vec!["clerk".into()],
        regions: vec!["310104".into()],
        must_change: false,
    }
}

async fn with_clerk() -> Rig {
    let rig = rig().await;
    rig.store.identity.create_user("admin", clerk()).await.expect("created");
    rig
}

#[tokio::test]
async fn sessions_open_idle_out_and_end() {
    let rig = with_clerk().await;
    let identity = &rig.store.identity;
    let new = identity.login("wang", PASSWORD, HOME).await.expect("in");
    assert_eq!((new.token.len(), new.csrf.len()), (64, 32));
    let session = identity.session(&new.token).expect("live");
    assert_eq!((session.principal.user.as_str(), session.csrf.as_str()), ("wang", new.csrf.as_str()));
    assert!(identity.session("0000").is_err());
    assert!(identity.bearer(&new.token).is_err(), "a cookie is no API token");

    // Use keeps it open; an open stream does not.
    rig.clock.add(20 * 60_000);
    identity.session(&new.token).expect("used");
    rig.clock.add(20 * 60_000);
    identity.rebind(&session.key).expect("still");
    rig.clock.add(11 * 60_000);
    assert_eq!(identity.rebind(&session.key).expect_err("idle").class, ErrorClass::Unauthenticated);

    let new = identity.login("wang", PASSWORD, HOME).await.expect("in again");
    let mut changes = identity.changes();
    changes.mark_unchanged();
    identity.logout(&new.token).await.expect("out");
    assert!(changes.has_changed().expect("open"));
    assert!(identity.session(&new.token).is_err());

    // Never longer than the absolute end, however busy.
    let new = identity.login("wang", PASSWORD, HOME).await.expect("in");
    for _ in 0..36 {
        rig.clock.add(20 * 60_000);
        let _ = identity.session(&new.token);
    }
    assert!(identity.session(&new.token).is_err());
    identity.upkeep(0).await.expect("tidied");
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM credentials").fetch_one(rig.store.db.readers()).await.expect("count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_user_has_so_many_sessions_and_no_more() {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let identity = IdentityOptions { sessions: 2, ..IdentityOptions::default() };
    let options = StoreOptions { address: "test".into(), clock: clock.clone(), identity, ..StoreOptions::default() };
    let store = Store::open(dir.path(), catalogue_with(PREMISES), options).await.expect("opens");
    store.identity.create_user("admin", clerk()).await.expect("created");
    let mut sessions = Vec::new();
    for _ in 0..2 {
        clock.add(1_000);
        sessions.push(store.identity.login("wang", PASSWORD, HOME).await.expect("in").token);
    }
    clock.add(1_000);
    store.identity.session(&sessions[0]).expect("used last");
    clock.add(1_000);
    sessions.push(store.identity.login("wang", PASSWORD, HOME).await.expect("in").token);
    let live: Vec<bool> = sessions.iter().map(|s| store.identity.session(s).is_ok()).collect();
    assert_eq!(live, [true, false, true], "the one that was used longest ago has ended");
}

#[tokio::test]
async fn sessions_and_secrets_on_disk() {
    let rig = with_clerk().await;
    let new = rig.store.identity.login("wang", PASSWORD, HOME).await.expect("in");
    rig.store.close().await;
    let Rig { dir, clock, store } = rig;
    drop(store);
    let content = std::fs::read(dir.path().join(DATABASE)).expect("file");
    let holds = |text: &str| content.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(!holds(&new.token) && !holds(PASSWORD), "no secret lies in the database");
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let store = open(dir.path(), clock).await.expect("opens again");
    assert_eq!(store.identity.session(&new.token).expect("outlives a restart").csrf, new.csrf);
}

#[tokio::test]
async fn wrong_passwords_lock() {
    let rig = with_clerk().await;
    let identity = &rig.store.identity;
    for _ in 0..5 {
        let error = identity.login("wang", "wrong", HOME).await.expect_err("wrong");
        assert_eq!(error.code, "identity.password");
    }
    assert_eq!(identity.login("wang", PASSWORD, HOME).await.expect_err("locked").code, "identity.locked");
    // Strangers and disabled users hear the same as wrong passwords.
    assert_eq!(identity.login("nobody", PASSWORD, HOME).await.expect_err("unknown").code, "identity.password");
    rig.clock.add(15 * 60_000 + 1);
    identity.login("wang", PASSWORD, HOME).await.expect("unlocked by time");
    for _ in 0..5 {
        let _ = identity.login("wang", "wrong", HOME).await;
    }
    identity.unlock("admin", "wang").await.expect("unlocked by hand");
    identity.login("wang", PASSWORD, HOME).await.expect("in");
    let audit = rig.store.log.audit_page(None, 100).await.expect("audit");
    assert_eq!(audit.iter().filter(|a| a.action == "login_failed").count(), 11);
}

#[tokio::test]
async fn an_address_that_tries_too_often_is_refused() {
    let rig = with_clerk().await;
    let other = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
    let mut refused = 0;
    for i in 0..70 {
        let outcome = rig.store.identity.login(&format!("guess{i}"), "x", other).await;
        refused += usize::from(outcome.is_err_and(|e| e.class == ErrorClass::Busy));
    }
    assert!(refused > 0);
    rig.store.identity.login("wang", PASSWORD, HOME).await.expect("others are not concerned");
}

#[tokio::test]
async fn rights_change_under_an_open_session() {
    let rig = with_clerk().await;
    let identity = &rig.store.identity;
    let new = identity.login("wang", PASSWORD, HOME).await.expect("in");
    let before = identity.session(&new.token).expect("live").principal;
    let patch = UserPatch { regions: Some(vec!["310105".into()]), ..UserPatch::default() };
    identity.update_user("admin", "wang", patch).await.expect("moved");
    let after = identity.session(&new.token).expect("live").principal;
    assert_eq!(after.regions, ["310105"]);
    assert!(after.grants_version > before.grants_version);

    let grant = Grant {
        id: "g1".into(),
        dataset: "premises".into(),
        regions: vec!["310104".into()],
        fields: vec![],
        records: Vec::new(),
        purpose: "联合检查".into(),
        expires: START + 1_000,
    };
    identity.grant("admin", "wang", grant).await.expect("granted");
    assert_eq!(identity.session(&new.token).expect("live").principal.grants.len(), 1);
    rig.clock.add(2_000);
    assert!(identity.session(&new.token).expect("live").principal.grants.is_empty(), "grants end");

    identity
        .update_user("admin", "wang", UserPatch { disabled: Some(true), ..UserPatch::default() })
        .await
        .expect("disabled");
    assert!(identity.session(&new.token).is_err());
    assert_eq!(identity.login("wang", PASSWORD, HOME).await.expect_err("disabled").code, "identity.password");
}

#[tokio::test]
async fn passwords_change() {
    let rig = rig().await;
    let identity = &rig.store.identity;
    let first = identity.ensure_admin().await.expect("runs").expect("first start");
    assert_eq!(identity.ensure_admin().await.expect("runs"), None);
    let one = identity.login("admin", &first, HOME).await.expect("in");
    let two = identity.login("admin", &first, HOME).await.expect("in twice");
    let session = identity.session(&one.token).expect("live");
    assert!(session.must_change);
    assert!(identity.issue_token("admin", &first, &[], 30, HOME).await.is_err(), "not with the first password");
    assert!(identity.change_password("admin", "wrong", PASSWORD, None).await.is_err());
    assert!(identity.change_password("admin", &first, "short", None).await.is_err());
    identity.change_password("admin", &first, PASSWORD, Some(session.key)).await.expect("changed");
    assert!(!identity.session(&one.token).expect("goes on").must_change);
    assert!(identity.session(&two.token).is_err(), "other sessions end");

    let token = identity.issue_token("admin", PASSWORD, &["query".into()], 30, HOME).await.expect("token");
    let bearer = identity.bearer(&token.token).expect("live");
    assert_eq!((bearer.scopes.as_slice(), bearer.principal.user.as_str()), (&["query".to_string()][..], "admin"));
    assert_eq!(identity.tokens("admin").len(), 1);
    identity.revoke_token("admin", &token.id).await.expect("revoked");
    assert!(identity.bearer(&token.token).is_err());
}

#[tokio::test]
async fn demo_users_and_the_time_of_a_sign_in() {
    let rig = rig().await;
    let identity = &rig.store.identity;
    let users = identity.ensure_demo_users("demo").await.expect("made");
    assert_eq!(users.len(), 10);
    assert_eq!(identity.ensure_demo_users("other").await.expect("changed").len(), 10);
    let started = std::time::Instant::now();
    let new = identity.login("clerk-310104", "other", HOME).await.expect("in");
    println!("sign-in: {:?}", started.elapsed());
    assert_eq!(new.user.regions, ["310104"]);
    assert!(identity.login("clerk-310104", "demo", HOME).await.is_err());
}
