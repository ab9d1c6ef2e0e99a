//! A real browser: Debian's chromium, driven by its chromedriver.

use anyhow::{Context, Result, bail};
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::wd::Capabilities;
use fantoccini::{ClientBuilder, Locator};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One browser window. Dropping it ends the driver and the browser.
pub struct Browser {
    pub page: fantoccini::Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

/// Flags for a machine without screen and outside network. As root the browser has no sandbox.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

impl Browser {
    pub async fn open(width: u32, height: u32) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("chromedriver does not start: ./test installs it (package chromium-driver)")?;
        let profile = tempfile::Builder::new().prefix("zonglan-browser-").tempdir()?;
        let mut flags: Vec<String> = FLAGS.iter().map(|f| (*f).to_string()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--window-size={width},{height}"));
        let options = json!({"args": flags, "binary": "/usr/bin/chromium"});
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        capabilities.insert("goog:loggingPrefs".into(), json!({"browser": "ALL"}));
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut browser = loop {
            let mut builder = ClientBuilder::new(hyper_connector());
            builder.capabilities(capabilities.clone());
            match builder.connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(page) => break Self { page, driver, _profile: profile },
                Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => bail!("the browser does not start: {error}"),
            }
        };
        browser.resize(width, height).await?;
        Ok(browser)
    }

    /// Sets the size of the page itself, without the window's frame.
    pub async fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        self.page.set_window_size(width, height).await?;
        let inner = self.page.execute("return [innerWidth, innerHeight]", vec![]).await?;
        let size = |i: usize| inner[i].as_u64().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
        let (dx, dy) = (width.saturating_sub(size(0)), height.saturating_sub(size(1)));
        if dx > 0 || dy > 0 {
            self.page.set_window_size(width + dx, height + dy).await?;
        }
        Ok(())
    }

    /// Signs in through the login page.
    pub async fn login(&self, address: &str, user: &str, password: &str) -> Result<()> {
        self.page.goto(&format!("{address}/login")).await?;
        self.find("input[name=username]").await?.send_keys(user).await?;
        self.find("input[name=password]").await?.send_keys(password).await?;
        self.click("button[type=submit]").await?;
        self.until("the page after login", "return !location.pathname.startsWith('/login')").await?;
        Ok(())
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> Result<fantoccini::elements::Element> {
        let wait = self.page.wait().at_most(Duration::from_secs(20));
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => Ok(element),
            Err(error) => {
                bail!("no element {css} on {}: {error}\n{}", self.page.current_url().await?, self.visible_text().await?)
            }
        }
    }

    /// Clicks an element, again while the page redraws it: lists are replaced while they load.
    pub async fn click(&self, css: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.find(css).await?.click().await {
                Ok(()) => return Ok(()),
                Err(error) if !moving(&error) || Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("clicking {css}"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits until a script returns true.
    pub async fn until(&self, what: &str, script: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.page.execute(script, vec![]).await? != Value::Bool(true) {
            if Instant::now() > deadline {
                bail!("waited 30 s for {what} on {}\n{}", self.page.current_url().await?, self.visible_text().await?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub async fn script(&self, script: &str) -> Result<Value> {
        Ok(self.page.execute(script, vec![]).await?)
    }

    pub async fn visible_text(&self) -> Result<String> {
        let text =
            self.page.execute("return document.body ? document.body.innerText.slice(0, 2000) : ''", vec![]).await?;
        Ok(text.as_str().unwrap_or_default().to_string())
    }

    /// Errors and warnings that the page wrote to the console, those of the content policy among them.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.page.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|e| e["level"] == "SEVERE").filter_map(|e| e["message"].as_str());
        Ok(severe.map(str::to_string).collect())
    }

    /// Saves a picture of the window under the target folder, for people to look at.
    pub async fn picture(&self, name: &str) -> Result<()> {
        let folder = crate::binary().with_file_name("screenshots");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.png")), self.page.screenshot().await?)?;
        Ok(())
    }
}

/// Whether an element went away or lay under another one at the moment of the click.
fn moving(error: &CmdError) -> bool {
    let CmdError::Standard(error) = error else { return false };
    matches!(
        error.error,
        ErrorStatus::StaleElementReference | ErrorStatus::ElementClickIntercepted | ErrorStatus::ElementNotInteractable
    )
}

fn hyper_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// The driver's own command for the browser's console.
#[derive(Debug)]
struct ConsoleLog;

impl fantoccini::wd::WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser runs in the driver's process group.
        drop(Command::new("kill").args(["-KILL", "--"]).arg(format!("-{}", self.driver.id())).status());
        drop(self.driver.wait());
    }
}
