//! Sessions, tokens, headers, health: the service around the data.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use zonglan_tests::server::PASSWORD;
use zonglan_tests::{Options, Server};

use crate::city;

#[test]
fn a_session_needs_password_cookie_and_csrf() -> Result<()> {
    let city = city();
    let wrong = city.anonymous().post("/api/v1/session", &json!({"username": "analyst", "password": "wrong"}))?;
    ensure!(wrong.status == 401, "{}", wrong.status);
    let unknown = city.anonymous().post("/api/v1/session", &json!({"username": "nobody", "password": "wrong"}))?;
    ensure!(
        unknown.status == 401 && unknown.json()?["code"] == wrong.json()?["code"],
        "an unknown user looks like a wrong password"
    );
    let right = city.anonymous().post("/api/v1/session", &json!({"username": "analyst", "password": PASSWORD}))?;
    let cookie = right.header("set-cookie").context("a cookie")?.to_ascii_lowercase();
    ensure!(cookie.contains("httponly") && cookie.contains("samesite="), "{cookie}");
    let client = city.client("analyst")?;
    let query = json!({"dataset": "incident", "measures": ["count"]});
    let forged = client
        .without_csrf()
        .post("/api/v1/tokens", &json!({"username": "analyst", "password": PASSWORD, "scopes": ["read"]}));
    // A token is asked for with the password itself, so it needs no session.
    ensure!(forged?.status == 200);
    let forged = client.without_csrf().send("DELETE", "/api/v1/session", &[], Vec::new())?;
    ensure!(forged.status == 403, "a write without CSRF token got {}", forged.status);
    client.query(&query)?;
    ensure!(client.send("DELETE", "/api/v1/session", &[], Vec::new())?.status < 300);
    ensure!(client.post("/api/v1/query", &query)?.status == 401, "the session has ended");
    Ok(())
}

#[test]
fn a_token_works_without_cookie() -> Result<()> {
    let city = city();
    let answer = city
        .anonymous()
        .post("/api/v1/tokens", &json!({"username": "leader", "password": PASSWORD, "scopes": ["read"]}))?
        .ok()?;
    let client = city.anonymous().with_token(answer["token"].as_str().context("a token")?);
    ensure!(client.number(&json!({"dataset": "incident", "measures": ["count"]}))? == 20_000.0);
    ensure!(city.anonymous().with_token("wrong").get("/api/v1/datasets")?.status == 401);
    Ok(())
}

#[test]
fn many_wrong_passwords_lock_the_account() -> Result<()> {
    let server = Server::start(Options::demo(500))?;
    let attempt = |password: &str| {
        server.anonymous().post("/api/v1/session", &json!({"username": "clerk", "password": password}))
    };
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(attempt("wrong")?.status);
    }
    ensure!(statuses[0] == 401 && statuses.last() == Some(&403), "{statuses:?}");
    let locked = attempt(PASSWORD)?;
    ensure!(
        locked.status == 403 && locked.json()?["code"] == "identity.locked",
        "the right password does not open a locked account"
    );
    Ok(())
}

#[test]
fn pages_carry_the_security_headers_and_no_inline_script() -> Result<()> {
    let city = city();
    let client = city.client("leader")?;
    for path in ["/login", "/boards/home", "/explore", "/cases", "/import", "/records/premises", "/api/docs"] {
        let reply = client.get(path)?;
        ensure!(reply.status == 200, "{path}: {}", reply.status);
        let policy = reply
            .header("content-security-policy")
            .with_context(|| format!("{path} has no content policy"))?
            .to_string();
        ensure!(
            policy.contains("default-src 'self'") && !policy.contains("script-src 'self' 'unsafe-inline'"),
            "{path}: {policy}"
        );
        ensure!(reply.header("x-content-type-options") == Some("nosniff"), "{path}");
        ensure!(reply.header("x-request-id").is_some(), "{path}");
        let html = reply.text();
        for tag in html.split("<script").skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            ensure!(
                tag.contains("src=") || tag.contains("application/json"),
                "{path} has an inline script: <script{tag}>"
            );
        }
        ensure!(!html.contains(" style=\"") && !html.contains(" onclick="), "{path} has an inline style or handler");
        if !path.starts_with("/api") {
            ensure!(html.contains("演示数据"), "{path} does not say that these are demo data");
        }
    }
    Ok(())
}

#[test]
fn health_is_open_and_the_document_describes_the_service() -> Result<()> {
    let city = city();
    ensure!(city.anonymous().get("/healthz")?.status == 200);
    ensure!(city.anonymous().get("/readyz")?.status == 200);
    let document = city.client("analyst")?.get("/api/openapi.json")?.ok()?;
    ensure!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")), "{}", document["openapi"]);
    for path in
        ["/api/v1/query", "/api/v1/search", "/api/v1/session", "/api/v1/import/{dataset}", "/api/v1/geo/transform"]
    {
        ensure!(document["paths"][path].is_object(), "{path} is not described");
    }
    let missing = city.client("analyst")?.get("/api/v1/nothing")?;
    ensure!(missing.status == 404 && missing.json()?["code"].is_string());
    Ok(())
}

#[test]
fn the_first_start_gives_a_password_once() -> Result<()> {
    let server = Server::start(Options::empty())?;
    let greeting = server.greeting.join("\n");
    ensure!(greeting.contains("admin"), "{greeting}");
    ensure!(!greeting.contains("leader-310104"), "demo logins are printed in --demo only");
    let server = server.restart()?;
    ensure!(!server.greeting.join("\n").contains("admin"), "the password is printed once");
    Ok(())
}

#[test]
fn a_request_to_stop_is_obeyed_quickly() -> Result<()> {
    let mut server = Server::start(Options::demo(500))?;
    let client = server.client("leader")?;
    let address = client.address().to_string();
    let cookie = client.cookie().context("cookie")?.to_string();
    // An open event stream must not hold the program up.
    std::thread::spawn(move || {
        let agent = ureq::Agent::new_with_defaults();
        let reply = agent.get(format!("{address}/api/v1/events?datasets=incident")).header("cookie", cookie).call();
        drop(reply.map(|mut r| r.body_mut().read_to_string()));
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    let start = std::time::Instant::now();
    server.stop()?;
    ensure!(start.elapsed().as_secs() < 15, "stopping took {:?}", start.elapsed());
    Ok(())
}
